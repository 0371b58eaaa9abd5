"""A plan for a grid, as a person types it: who stores what, on how many servers of which kind, coded and kept how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["FIELDS", "Code", "Demand", "Field", "Plan", "Prices", "Servers", "Upkeep", "parse_plan"]


class Field(NamedTuple):
    """One number of the form, with the bounds within which the answers mean something."""

    name: str
    group: str
    label: str
    unit: str
    usual: float
    least: float
    most: float
    whole: bool = False


FIELDS: Final = (
    Field("users", "Demand", "Users", "people", 10, 1, 1e7, whole=True),
    Field("files", "Demand", "Files of each user", "files", 2000, 1, 1e9, whole=True),
    Field("file_size", "Demand", "Size of a file", "MB", 5, 0.001, 1e6),
    Field("stored", "Demand", "Stored by each user a day", "MB", 200, 0, 1e9),
    Field("read", "Demand", "Read by each user a day", "MB", 500, 0, 1e9),
    Field("servers", "Servers", "Storage servers", "servers", 10, 1, 10000, whole=True),
    Field("up", "Servers", "Each is up", "% of the time", 95, 0.1, 100),
    Field("life", "Servers", "A disk lasts", "years", 5, 0.1, 1000),
    Field("needed", "Code", "Shares needed (k)", "shares", 3, 1, 100, whole=True),
    Field("happy", "Code", "Stored on at least (happy)", "servers", 7, 1, 100, whole=True),
    Field("total", "Code", "Shares made (N)", "shares", 10, 1, 100, whole=True),
    Field("sweep", "Repair", "Everything is checked every", "days", 30, 1, 3652),
    Field("threshold", "Repair", "Repaired when fewer are left than", "shares", 10, 1, 100, whole=True),
    Field("disk_price", "Prices", "Disk, for each TB", "money", 20, 0, 1e6),
    Field("traffic_price", "Prices", "Broker's traffic, for each GB sent", "money", 0.01, 0, 1e4),
)


@dataclass(frozen=True, slots=True)
class Demand:
    """What people store: users, files of each, sizes in bytes; stored and read are bytes a user and day."""

    users: int
    files: int
    file_size: float
    stored: float
    read: float

    @property
    def all_files(self) -> int:
        """Files of all users."""
        return self.users * self.files

    @property
    def data(self) -> float:
        """Bytes of all files."""
        return self.all_files * self.file_size


@dataclass(frozen=True, slots=True)
class Servers:
    """Who keeps it. ``up`` is a probability, ``life`` years; with ``wear`` every disk serves exactly its life."""

    count: int
    up: float
    life: float
    wear: bool


@dataclass(frozen=True, slots=True)
class Code:
    """Any ``needed`` of ``total`` shares give a file back; an upload wants ``happy`` servers."""

    needed: int
    happy: int
    total: int

    @property
    def expansion(self) -> float:
        """Bytes stored for each byte."""
        return self.total / self.needed


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Days from sweep to sweep, and below how many shares one repairs."""

    sweep: float
    threshold: int


@dataclass(frozen=True, slots=True)
class Prices:
    """Money for a terabyte of disk, and for a gigabyte that leaves the broker."""

    disk: float
    traffic: float


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it."""

    demand: Demand
    servers: Servers
    code: Code
    upkeep: Upkeep
    prices: Prices

    def shares_on_servers(self) -> list[int]:
        """How many shares each server holds that holds any: spread as evenly as can be."""
        homes = min(self.code.total, self.servers.count)
        each, more = divmod(self.code.total, homes)
        return [each + (index < more) for index in range(homes)]


def parse_plan(query: Mapping[str, str]) -> tuple[Plan, dict[str, str]]:
    """Return the plan that a form's values make, with the usual value for each that can't be used, and why it can't.

    Args:
        query: the form's values by name; missing ones are the usual.
    """
    problems: dict[str, str] = {}
    given = {field.name: _number(field, query, problems) for field in FIELDS}
    whole = {field.name: int(given[field.name]) for field in FIELDS if field.whole}
    _agree(whole, query, problems)
    plan = Plan(
        Demand(whole["users"], whole["files"], given["file_size"] * 1e6, given["stored"] * 1e6, given["read"] * 1e6),
        Servers(whole["servers"], _probability(given["up"]), given["life"], query.get("wear") == "yes"),
        Code(whole["needed"], whole["happy"], whole["total"]),
        Upkeep(given["sweep"], whole["threshold"]),
        Prices(given["disk_price"], given["traffic_price"]),
    )
    return plan, problems


def _number(field: Field, query: Mapping[str, str], problems: dict[str, str]) -> float:
    try:
        value = float(query.get(field.name, "").replace(",", ".") or field.usual)
    except ValueError:
        value = math.nan
    if not field.least <= value <= field.most or (field.whole and value != int(value)):
        kind = "a whole number" if field.whole else "a number"
        problems[field.name] = f"{kind} from {field.least:g} to {field.most:,.0f} is needed; {field.usual:g} is used."
        return field.usual
    return value


def _agree(whole: dict[str, int], query: Mapping[str, str], problems: dict[str, str]) -> None:
    """Bring k, happy, N and the threshold into order: k <= happy <= N and k <= R <= N."""
    if whole["needed"] > whole["total"]:
        problems["needed"] = f"No more than all {whole['total']} shares can be needed; {whole['total']} is used."
        whole["needed"] = whole["total"]
    for name in ("happy", "threshold"):
        fitting = min(max(whole[name], whole["needed"]), whole["total"])
        if fitting != whole[name] and name in query:
            bounds = f"from {whole['needed']} to {whole['total']}"
            problems[name] = f"With {whole['needed']} of {whole['total']} shares it lies {bounds}; {fitting} is used."
        whole[name] = fitting


def _probability(percent: float) -> float:
    """Divide by a hundred in decimals: 99.9 % is 0.999 and no neighbour of it."""
    return float(f"{percent / 100:.12g}")
