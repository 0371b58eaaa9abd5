"""Configuration: what an experiment is run with, out of its defaults, a TOML file and the command line.

An experiment declares a frozen dataclass whose defaults are its full mode. Later layers win. A key that it does not
know, or a value of the wrong type, is refused with the remedy: a study that silently ran with something else than was
asked for is worse than none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from tahoe.errors import BadConfiguration


def build(kind: type[Any], *layers: Mapping[str, Any]) -> Any:
    """An instance of the dataclass ``kind``: its defaults, changed by each layer in turn.

    Raises:
        BadConfiguration: a key is unknown or a value does not fit.
    """
    changes: dict[str, Any] = {}
    for layer in layers:
        _check_keys(kind, layer)
        changes.update(layer)
    try:
        return replace(msgspec.convert(changes, kind))  # made by its own __init__, which sets the defaults, too
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        place = path.rstrip("`") or "configuration"
        raise BadConfiguration(f"{place}: {reason}. Defaults are: {_shown(kind)}") from error


def from_file(path: Path) -> dict[str, Any]:
    """The layer that a TOML file holds: its top-level keys.

    Raises:
        BadConfiguration: it can't be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadConfiguration(f"{path}: {error}") from error


def from_settings(settings: Iterable[str]) -> dict[str, Any]:
    """The layer made of ``key=value`` on the command line; values are TOML, or else taken as a string.

    Raises:
        BadConfiguration: there is no ``=`` in a setting.
    """
    layer = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise BadConfiguration(f"--set {setting}: write it as key=value, such as --set trials=100")
        layer[key.strip()] = _value(text.strip())
    return layer


def plain(configuration: Any) -> dict[str, Any]:
    """The configuration as it comes back from JSON (lists for tuples), from which ``build`` makes it again."""
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(configuration))
    return values


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _check_keys(kind: type[Any], layer: Mapping[str, Any]) -> None:
    known = [field.name for field in fields(kind)]
    for key in layer:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"Did you mean {close[0]}? " if close else ""
            raise BadConfiguration(f"unknown key {key!r}. {hint}This experiment knows: {', '.join(known)}")


def _shown(kind: type[Any]) -> str:
    values = msgspec.to_builtins(kind())
    return ", ".join(f"{key}={msgspec.json.encode(value).decode()}" for key, value in values.items())
