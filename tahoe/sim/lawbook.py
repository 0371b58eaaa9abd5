"""Lawbook: laws, weathers and rules as plain data, so that a scenario can stand in a TOML or GraphML file.

A law is a table whose ``kind`` is the name of its class and whose other keys are the class's fields; a time may be
written in words::

    {kind = "Losses", life = {kind = "Weibull", scale = "6 years", shape = 1.2}, away = {kind = "Fixed", seconds = "3 days"}}
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any

from tahoe.errors import BadConfiguration
from tahoe.sim import laws, lifetimes, weather

UNITS = {
    "second": 1.0,
    "minute": weather.MINUTE,
    "hour": weather.HOUR,
    "day": weather.DAY,
    "week": 7 * weather.DAY,
    "month": weather.YEAR / 12,
    "year": weather.YEAR,
}
TIME = re.compile(r"\s*([0-9.eE+-]+)\s*(" + "|".join(UNITS) + r")s?\s*")

KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        laws.Fixed,
        laws.Uniform,
        laws.LogNormal,
        laws.Exponential,
        lifetimes.Weibull,
        lifetimes.Gamma,
        lifetimes.Pareto,
        lifetimes.Empirical,
        lifetimes.Beta,
        weather.Losses,
        weather.Outages,
        weather.Rot,
        weather.Shocks,
        weather.Bursts,
        weather.BadBatch,
    )
}
"""Every kind there is; add your own to it."""


def seconds(value: Any) -> Any:
    """A time in seconds, if this is one written in words (``"3 days"``); anything else as it is."""
    found = TIME.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) * UNITS[found[2]] if found else value


def build(plain: Any) -> Any:
    """The law or weather that a table describes; lists and other values go through.

    Raises:
        BadConfiguration: there is no such kind, or its fields are others.
    """
    if isinstance(plain, list):
        return tuple(build(one) for one in plain)
    if not isinstance(plain, dict):
        return seconds(plain)
    values = {key: build(value) for key, value in plain.items() if key != "kind"}
    kind = KINDS.get(plain.get("kind", ""))
    if kind is None:
        raise BadConfiguration(
            f"there is no law or weather of the kind {plain.get('kind')!r}. There are: {', '.join(KINDS)}"
        )
    names = [field.name for field in fields(kind)]
    unknown = [name for name in values if name not in names]
    if unknown:
        raise BadConfiguration(f"{kind.__name__} has no {', '.join(unknown)}; it has {', '.join(names)}")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise BadConfiguration(f"{kind.__name__}: {error}") from error


def plain(value: Any) -> Any:
    """The table from which ``build`` makes an equal object."""
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {"kind": type(value).__name__} | {
            field.name: plain(getattr(value, field.name)) for field in fields(value)
        }
    return value
