"""Facts as ``tahoe debug`` shows them: a line each for people, one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from tahoe.cli.values import human_time
from tahoe.codec.capability import Capability


def kind_of(cap: Capability) -> str:
    """Return a cap's prefix, which names its kind and tells nothing else."""
    return ":".join(str(cap).split(":")[:2])


def time_left(seconds: float) -> str:
    """Return how long a lease still lasts, or when it ended."""
    return human_time(seconds) if seconds > 0 else f"expired {human_time(-seconds)} ago"


def show(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print facts: as JSON, or a line each."""
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        label = name.replace("_", " ")
        if isinstance(value, Mapping):
            click.echo(f"{label}:")
            for inner, content in value.items():
                click.echo(f"  {inner + ':':20} {content}")
        elif isinstance(value, list):
            click.echo(f"{label}: {len(value) or 'none'}")
            for item in value:
                click.echo("  " + ", ".join(f"{inner.replace('_', ' ')} {content}" for inner, content in item.items()))
        else:
            click.echo(f"{label + ':':20} {_word(value)}")


def _word(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
