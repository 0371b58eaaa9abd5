"""The provisioning page: what a plan comes to, each number with the formula that it comes from.

The probabilities are ``tahoe.theory``'s, the same functions that experiments and the caretaker use; what is added here
is bookkeeping of bytes and money. Servers are taken to fail independently of one another, which real ones don't
quite: read the answers as the best that can be hoped for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp
from typing import Final, NamedTuple

from tahoe.theory.availability import loss
from tahoe.theory.counts import Distribution
from tahoe.theory.epochs import loss_over_windows, loss_with_sweeps, loss_without_repair
from tahoe.theory.groups import evenly, guaranteed_losses, loss_of_placement, surviving_shares
from tahoe.web.pages import words
from tahoe.web.pages.charts import Axis, Chart, columns, curves, decades, power_bounds
from tahoe.web.pages.plan import Plan

DAYS_IN_YEAR: Final = 365.25
HOURS_IN_YEAR: Final = DAYS_IN_YEAR * 24
SECONDS_IN_DAY: Final = 86400.0
CROSSINGS: Final = 2
"""Every byte crosses the broker twice: in from the sender, out to the receiver."""

SWEEPS_DRAWN: Final = (3.0, 7.0, 14.0, 30.0, 60.0, 120.0, 240.0, 365.0)
AVAILABILITIES_DRAWN: Final = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
_LEAST: Final = 1e-20
"""Smaller probabilities are drawn at the edge: no real grid is limited by them."""

_GOOD: Final = 1e-5
_FAIR: Final = 1e-3


class Answer(NamedTuple):
    """One number: what it is, in words, what follows, the formula, and whether it is good, warn or bad."""

    title: str
    value: str
    detail: str
    formula: str
    level: str = ""


class Group(NamedTuple):
    """Answers that belong together."""

    title: str
    answers: Sequence[Answer]


@dataclass(frozen=True, slots=True)
class Drawings:
    """The page's charts."""

    survivors: Chart
    availability: Chart
    sweeps: Chart


def answers(plan: Plan) -> list[Group]:
    """Return all that the page tells of a plan."""
    return [
        Group("Space", _space(plan)),
        Group("Is a file there when it is wanted?", _presence(plan)),
        Group("Is a file ever lost?", _durability(plan)),
        Group("Traffic", _traffic(plan)),
        Group("Cost", _cost(plan)),
    ]


def drawings(plan: Plan) -> Drawings:
    """Return the charts of a plan."""
    needed = plan.code.needed
    there = survivors(plan)
    chances = [float(there.exactly(count)) for count in range(plan.code.total + 1)]
    titles = ("shares that are there at one moment", "probability")
    return Drawings(
        columns(chances, lambda count: count < needed, titles), _availability_chart(plan), _sweep_chart(plan)
    )


# --- probabilities -----------------------------------------------------------------------------------------


def survivors(plan: Plan) -> Distribution:
    """Return how many shares of a file are there at one moment."""
    return surviving_shares(evenly(plan.shares_on_servers(), plan.servers.up))


def unavailability(plan: Plan) -> float:
    """Return the probability that a file is not there at one moment."""
    return loss_of_placement(plan.code.needed, evenly(plan.shares_on_servers(), plan.servers.up))


def share_survival(plan: Plan, days: float) -> float:
    """Return the probability that a disk, and so its shares, survives some days."""
    part = days / DAYS_IN_YEAR / plan.servers.life
    return max(0.0, 1 - part) if plan.servers.wear else exp(-part)


@lru_cache(maxsize=256)
def yearly_loss(plan: Plan) -> float:
    """Return the probability that a file is lost within a year of sweeps and repairs.

    Where servers hold several shares each, these fall together, and every sweep is taken to repair all.
    """
    code, sweep = plan.code, min(plan.upkeep.sweep, DAYS_IN_YEAR)
    survival, sweeps = share_survival(plan, sweep), DAYS_IN_YEAR / sweep
    if plan.servers.count < code.total:
        return loss_over_windows(loss_of_placement(code.needed, evenly(plan.shares_on_servers(), survival)), sweeps)
    if plan.upkeep.threshold == code.total:
        return loss_over_windows(loss(code.needed, code.total, survival), sweeps)
    return loss_with_sweeps(code.needed, code.total, plan.upkeep.threshold, [survival] * round(sweeps))


# --- answers -----------------------------------------------------------------------------------------------


def _space(plan: Plan) -> list[Answer]:
    demand, code, servers = plan.demand, plan.code, plan.servers
    stored = demand.data * code.expansion
    each = stored / servers.count
    return [
        Answer(
            "Files and data",
            words.size(demand.data),
            f"{words.many(demand.all_files, 'file')} of all users",
            "users × files × size",
        ),
        Answer(
            "Expansion", f"{code.expansion:.3g} times", "what a byte takes on servers; hashes add about 0.2 %", "N / k"
        ),
        Answer(
            "On all servers",
            words.size(stored),
            f"shares of {words.size(demand.file_size / code.needed)} each",
            "data × N / k",
        ),
        Answer(
            "On each server",
            words.size(each),
            f"and {words.size(demand.stored * demand.users * code.expansion / servers.count)} more every day",
            "data × N / (k × servers)",
        ),
    ]


def _presence(plan: Plan) -> list[Answer]:
    code, away = plan.code, unavailability(plan)
    copies = max(1, code.total // code.needed)
    alone = loss(1, min(copies, plan.servers.count), plan.servers.up)
    found = [
        Answer(
            "A file is there",
            _certainty(away),
            f"unreachable {_hours(away * HOURS_IN_YEAR)} a year, all in all",
            "1 − Σ over i < k of C(N,i) pⁱ (1−p)ᴺ⁻ⁱ, shares on one server falling together",
            _level(away),
        ),
        Answer(
            "Out of reach now",
            words.number(away * plan.demand.all_files),
            "files on average, at any moment",
            "unavailability × files",
        ),
        Answer(
            "Plain copies instead",
            _certainty(alone),
            f"with {words.many(copies, 'whole copy', 'whole copies')} in the same space",
            "1 − (1 − p)ᶜ with c = ⌊N / k⌋ copies",
        ),
    ]
    if code.happy <= plan.servers.count:
        sure = guaranteed_losses(code.needed, code.happy)
        found.append(
            Answer(
                "Whichever they are",
                words.many(sure, "server"),
                "may vanish, and every file is still readable",
                "happy − k",
            )
        )
    else:
        text = f"an upload wants {code.happy} servers, and there are {plan.servers.count}"
        found.append(Answer("Uploads", "all fail", text, "happy ≤ servers", "bad"))
    return found


def _durability(plan: Plan) -> list[Answer]:
    lost = yearly_loss(plan)
    unkept = loss_without_repair(plan.code.needed, plan.code.total, plan.servers.life, 1.0)
    sweeps = DAYS_IN_YEAR / plan.upkeep.sweep
    model = "p = 1 − t/life (disks wear out)" if plan.servers.wear else "p = exp(−t/life) (constant failure rate)"
    return [
        Answer(
            "A file is lost within a year",
            words.probability(lost),
            words.one_in(lost),
            f"sweeps of length t; each share survives one with {model}; below k the file is lost, below R it is made whole",
            _level(lost * 1e3),
        ),
        Answer(
            "Files lost a year",
            words.number(lost * plan.demand.all_files),
            "of all files, on average",
            "loss a year × files",
        ),
        Answer(
            "Without any repair",
            words.probability(unkept),
            "the same file, if nobody looked for a year",
            "Pr[Bin(N, exp(−1/life)) < k]",
        ),
        Answer(
            "Sweeps a year",
            words.number(sweeps),
            f"a share is out for {plan.upkeep.sweep / 2:.3g} days on average",
            "365.25 / days between sweeps",
        ),
    ]


def _traffic(plan: Plan) -> list[Answer]:
    up, down, repair = daily_bytes(plan)
    carried = CROSSINGS * (up + down + repair)
    rate = 8 * carried / SECONDS_IN_DAY / 1e6
    return [
        Answer("Uploads", f"{words.size(up)} a day", "all shares leave the client itself", "users × stored × N / k"),
        Answer("Downloads", f"{words.size(down)} a day", "only k shares are fetched", "users × read"),
        Answer(
            "Repair",
            f"{words.size(repair)} a day",
            "k shares are read, the missing ones written",
            "files × N/life × (k + m) / m × share, with m = N − R + 1 lost shares a repair",
        ),
        Answer(
            "Through the broker",
            f"{words.size(carried)} a day",
            f"{words.number(rate)} Mbit/s on average; it comes in and goes out",
            "2 × (uploads + downloads + repair)",
        ),
    ]


def daily_bytes(plan: Plan) -> tuple[float, float, float]:
    """Return bytes that leave senders a day: for uploads, downloads and repair."""
    demand, code = plan.demand, plan.code
    missing = code.total - plan.upkeep.threshold + 1
    share = demand.file_size / code.needed
    lost_shares = demand.all_files * code.total / plan.servers.life / DAYS_IN_YEAR
    repair = lost_shares / missing * (code.needed + missing) * share
    return demand.users * demand.stored * code.expansion, demand.users * demand.read, repair


def _cost(plan: Plan) -> list[Answer]:
    stored = plan.demand.data * plan.code.expansion
    disks = stored / 1e12 * plan.prices.disk
    sent = sum(daily_bytes(plan)) / 1e9 * plan.prices.traffic * DAYS_IN_YEAR
    yearly = disks / plan.servers.life + sent
    users = plan.demand.users
    return [
        Answer("Disks", words.number(disks), "to buy, for all servers", "stored TB × price"),
        Answer("Disks a year", words.number(disks / plan.servers.life), "as they wear out", "disks / life"),
        Answer("Broker a year", words.number(sent), "for what it sends", "365.25 × bytes sent a day × price"),
        Answer("Each user a year", words.number(yearly / users), "disks and broker", "(disks / life + broker) / users"),
    ]


# --- charts ------------------------------------------------------------------------------------------------


def _availability_chart(plan: Plan) -> Chart:
    """Unavailability over the servers' availability, beside as many whole copies as take the same space."""
    copies = max(1, plan.code.total // plan.code.needed)
    ups = sorted({*AVAILABILITIES_DRAWN, min(max(plan.servers.up, 0.5), 0.99)})
    coded = [(up, unavailability(replace(plan, servers=replace(plan.servers, up=up)))) for up in ups]
    plain = [(up, loss(1, copies, up)) for up in ups]
    here = min(max(plan.servers.up, ups[0]), ups[-1])
    across = Axis("each server is up", (0.5, 1.0), (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), words.probability)
    return _by_powers([("", coded), ("other", plain)], (here, dict(coded)[here]), across, "a file is not there")


def _sweep_chart(plan: Plan) -> Chart:
    """Loss a year over the time between sweeps."""

    def at(days: float) -> float:
        return yearly_loss(replace(plan, upkeep=replace(plan.upkeep, sweep=days)))

    here = min(max(plan.upkeep.sweep, SWEEPS_DRAWN[0]), SWEEPS_DRAWN[-1])
    points = [(days, at(days)) for days in sorted({*SWEEPS_DRAWN, here})]
    bounds = (SWEEPS_DRAWN[0], SWEEPS_DRAWN[-1])
    across = Axis("days between sweeps", bounds, (3, 7, 30, 100, 365), lambda days: f"{days:g}", by_powers=True)
    return _by_powers([("", points)], (here, at(here)), across, "a file is lost in a year")


def _by_powers(
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], spot: tuple[float, float], across: Axis, title: str
) -> Chart:
    values = [value for _, points in lines for _, value in points if value > 0] or [1.0]
    bounds = power_bounds(values, _LEAST)
    label: Callable[[float], str] = words.probability
    return curves(lines, spot, across, Axis(title, bounds, decades(*bounds), label, by_powers=True))


# --- words -------------------------------------------------------------------------------------------------


def _certainty(missing: float) -> str:
    """Return the complement of a probability with as many nines as it has: never one minus a float."""
    if missing == 0:
        return "always"
    if missing >= 1:
        return "never"
    digits = max(2, words.leading_zeros(missing) + 2)
    return (
        f"{100 * (1 - missing):.{digits - 2}f} %"
        if digits < 14
        else f"all but {words.power_of_ten(missing)} of the time"
    )


def _hours(hours: float) -> str:
    return words.span(hours * 3600) if hours * 3600 >= 1 else "less than a second"


def _level(chance: float) -> str:
    return "good" if chance < _GOOD else "warn" if chance < _FAIR else "bad"
