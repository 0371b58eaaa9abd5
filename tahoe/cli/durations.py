"""Durations as arguments of commands: ``30s``, ``5min``, ``1d``."""

from __future__ import annotations

import click

from tahoe.net.quantities import Seconds


class DurationText(click.ParamType):  # type: ignore[type-arg]  # generic in click's newest releases only
    """A duration such as 30s, 5min or 1d."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return it in seconds."""
        if isinstance(value, float):
            return value
        try:
            return float(Seconds.parse(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
