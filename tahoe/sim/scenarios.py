"""Scenarios: a study of weather, files and rules in a TOML file, to be composed, saved and run again.

::

    servers = 20                     # or: world = "friendnet"
    files = 500
    time = "10 years"
    include = ["bad-winter.toml"]    # its weather is added to this one's

    [code]
    needed = 3
    total = 10

    [repair]
    below = 7                        # shares
    every = "30 days"

    [[weather]]
    kind = "Losses"
    life = {kind = "Exponential", mean = "4 years"}

    [[incident]]                     # something that happens for certain
    at = "2 years"
    server = 3
    harm = "lost"

Laws and weathers are those of ``tahoe.sim.lawbook``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from tahoe.errors import BadConfiguration
from tahoe.sim import lawbook, worlds
from tahoe.sim.montecarlo import Below, Checks, Code, Outcome, Rules, Study, run, unplaced
from tahoe.sim.weather import Incident, Replay, Weather

KEYS = {"servers", "world", "files", "time", "include", "code", "repair", "weather", "incident"}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A study, and the rules by which files are kept alive in it."""

    study: Study
    rules: Rules

    def run(self, seed: int | str = 1) -> Outcome:
        """One history of it."""
        return run(self.study, self.rules, seed)

    def with_weather(self, *more: Weather) -> Scenario:
        """The same, and more weather."""
        return replace(self, study=replace(self.study, weathers=(*self.study.weathers, *more)))


def load(path: Path) -> Scenario:
    """Read a scenario, and what it includes.

    Raises:
        BadConfiguration: a file is missing or wrong; the message names it and the place.
    """
    plain = _read(path)
    weathers = [weather for other in plain.get("include", ()) for weather in _weathers(_read(path.parent / other))]
    try:
        return build(plain).with_weather(*weathers)
    except BadConfiguration as error:
        raise BadConfiguration(f"{path}: {error}") from error


def build(plain: Mapping[str, Any]) -> Scenario:
    """The scenario that a table describes.

    Raises:
        BadConfiguration: a key is unknown, or a value does not fit.
    """
    unknown = sorted(set(plain) - KEYS)
    if unknown:
        raise BadConfiguration(f"unknown key {', '.join(unknown)}. A scenario knows: {', '.join(sorted(KEYS))}")
    try:
        study = Study(
            _locations(plain), plain["files"], _weathers(plain), float(lawbook.seconds(plain["time"])), _code(plain)
        )
        return Scenario(study, _rules(plain.get("repair", {}), study.code))
    except KeyError as error:
        raise BadConfiguration(f"{error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise BadConfiguration(str(error)) from error


def save(scenario: Scenario, path: Path) -> None:
    """Write a scenario so that ``load`` gives an equal one: with its servers' places, and all weather in this one file.

    Raises:
        BadConfiguration: its repair rule is not one that a file can tell.
    """
    study, rules = scenario.study, scenario.rules
    if not isinstance(rules.repair, Below):
        raise BadConfiguration(f"{type(rules.repair).__name__} can't be written down: only the rule Below can")
    known = [incident for weather in study.weathers if isinstance(weather, Replay) for incident in weather.incidents]
    checks = rules.checks
    repair = {"below": rules.repair.threshold, "every": checks.every, "cohorts": checks.cohorts}
    text: dict[str, Any] = {
        "servers": list(study.locations),
        "files": study.files,
        "time": study.seconds,
        "code": msgspec.to_builtins(study.code),
        "repair": repair if checks.budget == inf else repair | {"budget": checks.budget},
        "weather": [lawbook.plain(weather) for weather in study.weathers if not isinstance(weather, Replay)],
        "incident": [msgspec.to_builtins(incident) for incident in known],
    }
    path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in text.items()), encoding="utf-8")


def _toml(value: Any) -> str:
    """A value on one line. Strings, numbers and arrays are written as in JSON; tables have their own brackets."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return msgspec.json.encode(value).decode()


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadConfiguration(f"{path}: {error}") from error


def _locations(plain: Mapping[str, Any]) -> tuple[str, ...]:
    """A number of servers, their places, or those of a ready-made world."""
    servers = plain.get("servers")
    if "world" in plain:
        if plain["world"] not in worlds.ALL:
            raise BadConfiguration(f"there is no world {plain['world']!r}. There are: {', '.join(worlds.ALL)}")
        made = worlds.ALL[plain["world"]]
        return (made() if servers is None else made(servers)).locations()
    return unplaced(plain["servers"]) if isinstance(plain["servers"], int) else tuple(plain["servers"])


def _weathers(plain: Mapping[str, Any]) -> tuple[Weather, ...]:
    drawn = tuple(lawbook.build(one) for one in plain.get("weather", ()))
    known = [
        msgspec.convert({key: lawbook.seconds(value) for key, value in one.items()}, Incident)
        for one in plain.get("incident", ())
    ]
    return (*drawn, Replay(tuple(known))) if known else drawn


def _code(plain: Mapping[str, Any]) -> Code:
    return Code(**plain.get("code", {}))


def _rules(plain: Mapping[str, Any], code: Code) -> Rules:
    """Without a table of its own there is no repair; a rule says below how many shares a file is repaired."""
    values = {key: lawbook.seconds(value) for key, value in plain.items()}
    threshold = values.pop("below", code.total if plain else 0)
    return Rules(repair=Below(threshold), checks=Checks(**values))
