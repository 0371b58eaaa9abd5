"""Targets: numbers that others published or that follow exactly from a stated formula, and the two ways we reach them.

Every target has a value to be reached (what the source prints, or, where it prints none, the exact value), a function of
``tahoe.theory``, and, where simulation can get there, a way to simulate it: a callable that takes a seed and an effort
(1 for a result, less for a look) and gives an interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import log
from random import Random

import numpy as np

from experiments.correlated import outages
from experiments.tail import snapshots, unavailable
from tahoe.sim.estimates import judge
from tahoe.sim.laws import Exponential, Fixed
from tahoe.sim.montecarlo import Checks, Code, Rules, Study, place, run, unplaced
from tahoe.sim.placements import Copysets
from tahoe.sim.rare import Stripe, rare_loss
from tahoe.sim.weather import Losses, Outages, Shocks
from tahoe.theory.availability import (
    availability,
    loss,
    loss_of_draw,
    unavailability_in_series,
)
from tahoe.theory.confidence import Interval, mean_interval, probability_interval
from tahoe.theory.copysets import expected_bytes_lost, loss_in_outage, minimal_copysets, random_copysets
from tahoe.theory.counts import Distribution
from tahoe.theory.epochs import epoch_mean_time_to_loss, loss_over_windows, loss_without_repair, window_loss
from tahoe.theory.groups import evenly, group_survivors, loss_of_placement, together
from tahoe.theory.markov import Chain, mean_time_to_loss
from tahoe.theory.raid import expected_losses, raid5_mean_time_to_loss, raid_mean_time_to_loss
from tahoe.theory.replicas import replica_count_probability, replicas_for
from tahoe.theory.stripes import Repair, jump, never, parallel, partly_fatal_chain, serial, share_chain, stepwise

Simulation = Callable[[int, float], tuple[Interval, int]]

TAHOE = "Willden, loss-model draft of Tahoe-LAFS, 2009"
WARNER = "Warner, reliability.py of Tahoe-LAFS, 2009"
GLACIER = "Haeberlen et al., Glacier, NSDI 2005"
RODRIGUES = "Rodrigues and Liskov, IPTPS 2005, eq. (1)"
FORD = "Ford et al., OSDI 2010, sec. 8.2"
RAID = "Patterson, Gibson and Katz, SIGMOD 1988"
AZURE = "Huang et al., USENIX ATC 2012, Table 1"
WEATHERSPOON = "Weatherspoon and Kubiatowicz, IPTPS 2002"
BACKBLAZE = "Beach, Backblaze, 2018"
CIDON = "Cidon et al., Copysets, USENIX ATC 2013"
SIMEDC = "SimEDC, README"
CHUN = "Chun et al., NSDI 2006"
EXACT = "exact, by definition"

READ, QUOTED, FORMULA = "read", "quoted", "formula"
KNOWN_BY = {
    TAHOE: READ,
    WARNER: READ,
    WEATHERSPOON: READ,
    BACKBLAZE: READ,
    SIMEDC: READ,
    GLACIER: READ,
    FORD: QUOTED,
    AZURE: QUOTED,
    CIDON: QUOTED,
    RAID: QUOTED,
    RODRIGUES: FORMULA,
    CHUN: FORMULA,
    EXACT: "",
}
"""How we know what a source says: its number was read there; or in another text that quotes it; or the source has the formula
and not the number, which is the formula's exact value."""


@dataclass(frozen=True, slots=True)
class Target:
    """A number to be reached.

    Args:
        key: its name.
        what: in words.
        value: published or exact.
        source: who published it; ``EXACT`` if nobody had to.
        theory: our formula.
        simulate: our simulation, where there is one.
        within: how far the formula may be from the value: relative, the rounding of the source included.
    """

    key: str
    what: str
    value: float
    source: str
    theory: Callable[[], float]
    simulate: Simulation | None = None
    within: float = 5e-3

    @property
    def known_by(self) -> str:
        """How we know what the source says: see ``KNOWN_BY``."""
        return KNOWN_BY[self.source]


def all_targets() -> dict[str, Target]:
    """All of them, by name."""
    groups = (_instant(), _groups(), _chains(), _arrays(), _epochs(), _outages(), _over_time())
    return {target.key: target for group in groups for target in group}


# --- k of N at one instant -------------------------------------------------------------------------------------------


def _count(runs: float, losses: int) -> tuple[Interval, int]:
    return probability_interval(losses, int(runs)), int(runs)


def _grid_instants(homes: list[int], needed: int, up: float) -> Simulation:
    """Draw instants of a whole grid, and look at one file whose share i is on server ``homes[i]``."""

    def simulate(seed: int, effort: float) -> tuple[Interval, int]:
        count = int(400_000 * effort)
        servers = max(homes) + 1
        alive = snapshots(("",) * servers, [up] * servers, 0.0, count, seed)
        return _count(count, int(unavailable(np.array([homes], np.int32), alive, needed)[0]))

    return simulate


def _instant() -> Iterator[Target]:
    printed = {"A1": (3, 10, 0.9, 3.74e-7, TAHOE), "A2": (3, 6, 0.9, 0.00127, TAHOE)}
    rows = {
        "A3": (3, 10, 0.5, 5.46875e-2),
        "A4": (3, 10, 0.99, 4.420360e-15),
        "A5": (1, 3, 0.9, 1.0e-3),
        "A6": (7, 10, 0.9, 1.279520e-2),
        "A7": (17, 20, 0.99, 4.262093e-5),
        "A8": (10, 14, 0.99, 1.856894e-7),
        "A9": (6, 9, 0.99, 1.210433e-6),
    }
    for key, (needed, made, up, value, source) in (printed | {key: (*row, EXACT) for key, row in rows.items()}).items():
        simulate = _grid_instants(list(range(made)), needed, up) if value > 3e-5 else None
        what = f"{needed}-of-{made} out of reach, servers up {up:.0%}"
        yield Target(key, what, value, source, partial(loss, needed, made, up), simulate)
    draws = {  # the source cuts its availability off after nine digits: 0.9999999987
        "A10 replicas": (1, 2, 0.01, WEATHERSPOON, 5e-3),
        "A10 16 fragments": (8, 16, 5.922723e-6, EXACT, 5e-3),
        "A10 32 fragments": (16, 32, 2e-9, WEATHERSPOON, 0.5),
    }
    for key, (needed, made, value, source, within) in draws.items():
        what = f"any {needed} of {made}, a tenth of a million machines down"
        yield Target(key, what, value, source, partial(loss_of_draw, needed, made, 10**6, 10**5), within=within)
    yield Target("A11", "5-of-48, 60 % fail at once", 1e-6, GLACIER, lambda: loss(5, 48, Fraction(2, 5)), within=0.02)
    for counts, value in (([2] * 5, 4.6e-4), ([3, 3, 2, 2], 1.9e-3), ([4, 3, 3], 1.0e-3), ([10], 1.0e-1)):
        homes = [server for server, count in enumerate(counts) for _ in range(count)]
        name = "+".join(map(str, counts))
        yield Target(f"A12 {name}", f"3-of-10, shares on servers {name}", value, EXACT,
                     partial(loss_of_placement, 3, evenly(counts, 0.9)), _grid_instants(homes, 3, 0.9), 0.02)  # fmt: skip
    for target, host, value in ((1e-4, 0.25, 32.0157), (1e-4, 0.5, 13.2877), (1e-4, 0.7, 7.65), (1e-6, 0.9, 6.0)):
        yield Target(f"A13 {target:g} {host:g}", f"copies for unavailability {target:g} at host availability {host:g}",
                     value, RODRIGUES, partial(replicas_for, target, host))  # fmt: skip


# --- groups ----------------------------------------------------------------------------------------------------------

PRINTED_GROUPS = (
    2.53e-11, 1.63e-9, 3.96e-8, 4.44e-7, 2.50e-6, 2.35e-5, 4.52e-4, 4.62e-3, 2.03e-2, 2.16e-2, 4.46e-2, 2.53e-1,
)  # fmt: skip
"""Pr[fewer than 1..12 survive] as printed, but for the third, which is a misprint there (3.70e-8)."""

MACHINE = Fraction("0.9998") * Fraction("0.997")
HOME = Fraction("0.991") * Fraction("0.999") * Fraction("0.95")
LINK, ERUPTION = Fraction("0.0001"), Fraction("0.02")


def _three_sites() -> Distribution:
    nebraska = group_survivors([MACHINE] * 4, LINK)
    return together([nebraska, nebraska.unless_all_fall(ERUPTION), group_survivors([HOME] * 4)])


def _of_three_sites(fewer: int) -> float:
    return float(_three_sites().fewer_than(fewer))


def _draw_sites(fewer: int) -> Simulation:
    """Twelve machines, links and a volcano, thrown one by one."""

    def simulate(seed: int, effort: float) -> tuple[Interval, int]:
        rng, runs = np.random.default_rng(seed), int(1_000_000 * effort)
        up = rng.random((runs, 12)) < np.repeat([float(MACHINE), float(MACHINE), float(HOME)], 4)
        up[:, :4] &= (rng.random(runs) >= float(LINK))[:, None]
        up[:, 4:8] &= ((rng.random(runs) >= float(LINK)) & (rng.random(runs) >= float(ERUPTION)))[:, None]
        return _count(runs, int((up.sum(axis=1) < fewer).sum()))

    return simulate


def _groups() -> Iterator[Target]:
    for fewer, value in enumerate(PRINTED_GROUPS, 1):
        simulate = _draw_sites(fewer) if value > 1e-5 else None
        what = f"fewer than {fewer} of 12 survive: Nebraska, Hawaii and homes"
        yield Target(f"B{fewer}", what, value, TAHOE, partial(_of_three_sites, fewer), simulate, 0.015)


# --- chains ----------------------------------------------------------------------------------------------------------

FACTORIES: dict[str, Callable[[float], Repair]] = {"serial": serial, "parallel": parallel, "jump": jump}
CHAINS = {
    "C1": (1, 2, 1.0, 100.0, {"none": 1.5, "serial": 51.5, "parallel": 51.5, "jump": 51.5}),
    "C2": (2, 3, 1.0, 100.0, {"none": 0.8333333, "serial": 17.5, "parallel": 17.5, "jump": 17.5}),
    "C3": (1, 3, 1.0, 100.0, {"none": 1.8333333, "serial": 1735.1667, "parallel": 3451.8333}),
    "C4": (3, 10, 1.0, 12.0, {"none": 1.4289683, "serial": 90.846111, "parallel": 230005.6, "jump": 592.08333}),
    "C5": (7, 10, 1.0, 12.0, {"none": 0.47896825, "serial": 1.8218254, "parallel": 5.7599206}),
    "C6": (3, 10, 0.25, 12.0, {"none": 5.715873, "serial": 1735244.1, "parallel": 8.0892736e9, "jump": 3549624.6}),
    "C7": (6, 9, 0.25, 12.0, {"none": 2.1825397, "serial": 204.84921, "parallel": 1104.2778}),
}


def _sampled(needed: int, made: int, rate: float, repair: Repair) -> Simulation:
    """Importance sampling, with dice loaded the more the more failures it takes."""

    def simulate(seed: int, effort: float) -> tuple[Interval, int]:
        bias = (made - needed) / (made - needed + 1)
        found = rare_loss(Stripe(needed, (rate,) * made, repair), int(200_000 * effort), seed, bias)
        return found.mean_time, found.cycles

    return simulate


def _chains() -> Iterator[Target]:
    for key, (needed, made, rate, repair_rate, values) in CHAINS.items():
        for way, value in values.items():
            repair = FACTORIES[way](repair_rate) if way in FACTORIES else never()
            simulate = _sampled(needed, made, rate, repair) if way != "none" else None
            what = f"mean time to loss, {needed}-of-{made}, rate {rate:g}, repair {way} at {repair_rate:g}"
            yield Target(f"{key} {way}", what, value, EXACT, partial(_mean, share_chain(needed, made, rate, repair)), simulate, 1e-6)  # fmt: skip
    for needed, made, value in ((1, 3, 100.0), (9, 13, 10_000.0)):
        yield Target(f"C8 {needed}-of-{made}", f"gain of tenfold repair speed, {needed}-of-{made}", value, FORD,
                     partial(_gain, needed, made))  # fmt: skip


def _mean(chain: Chain) -> float:
    return mean_time_to_loss(chain).duration


def _gain(needed: int, made: int) -> float:
    fast, slow = (mean_time_to_loss(share_chain(needed, made, 1e-6, parallel(rate))).duration for rate in (10.0, 1.0))
    return fast / slow


# --- arrays and Azure --------------------------------------------------------------------------------------------------


def _arrays() -> Iterator[Target]:
    years = raid5_mean_time_to_loss(8, 461_386, 12).in_units_of(8760)
    yield Target("C9", "years to loss of a RAID-5 group of eight", 36_162.25, EXACT, lambda: years.duration)
    yield Target("C9 failures", "double failures of 1000 groups in 10 years", 0.27653, EXACT,
                 lambda: expected_losses(years, 1000, 10))  # fmt: skip
    for group, value, source in ((1, 4_500_000.0, RAID), (10, 820_000.0, RAID), (25, 346_153.85, EXACT)):
        yield Target(f"C10 {group}", f"hours to loss, 100 data disks in groups of {group}", value, source,
                     partial(_array, group))  # fmt: skip
    codes = {"3 copies": (3, [0, 0, 1.0], 3.5e9), "RS(6,3)": (9, [0, 0, 0, 1.0], 6.1e11),
             "LRC(6,2,2)": (10, [0, 0, 0, 0.14, 1.0], 2.6e12)}  # fmt: skip
    for name, (made, fatal, value) in codes.items():
        yield Target(f"C11 {name}", f"years to loss of a stripe, {name}", value, AZURE,
                     partial(_azure, made, fatal))  # fmt: skip


def _array(group: int) -> float:
    return raid_mean_time_to_loss(100, (group, 1), 30_000, 1).duration


def _azure(made: int, fatal: list[float]) -> float:
    second = 1 / (5 * 365 * 86_400)
    repair = stepwise([0.1 * 399 * 1e9 / (8 * 16 * 1024e9), 1 / 1800])
    return mean_time_to_loss(partly_fatal_chain(made, fatal, second, repair)).in_units_of(365 * 86_400).duration


# --- epochs ------------------------------------------------------------------------------------------------------------


def _epochs() -> Iterator[Target]:
    for key, needed, made, months, value, within in (
        ("D1", 1, 2, 4, 74.0, 0.01), ("D2", 1, 4, 1, 1e6, 0.1), ("D3", 16, 64, 28, 1e6, 1.5), ("D4", 32, 64, 4, 1e20, 9.0)
    ):  # fmt: skip
        what = f"years to loss, {needed}-of-{made}, repair every {months} months"
        yield Target(key, what, value, WEATHERSPOON, partial(_epochs_of, needed, made, months), within=within)  # fmt: skip
    yield Target("D5", "loss in a year, 17+3 disks", 7.354e-12, BACKBLAZE,
                 lambda: loss_over_windows(window_loss(17, 20, 0.00405, 6.5 / 365), 365 / 6.5))  # fmt: skip
    yield Target("D5 4+2", "loss in a year, 4+2 disks that are worse", 1.499678e-7, EXACT,
                 lambda: loss_over_windows(window_loss(4, 6, 0.1, 1 / 365), 365))  # fmt: skip
    yield Target("D6", "3-of-10 without repair, five years of eight", 0.0335910, WARNER,
                 lambda: loss_without_repair(3, 10, 8, 5), _unrepaired, 0.02)  # fmt: skip


def _epochs_of(needed: int, made: int, months: int) -> float:
    return epoch_mean_time_to_loss(needed, made, Fraction(months, 12), 5).duration


def _unrepaired(seed: int, effort: float) -> tuple[Interval, int]:
    """Whole histories of a grid, by Monte Carlo with the actors' placement."""
    runs, files = max(2, int(60 * effort)), 500
    study = Study(unplaced(200), files, (Losses(Exponential(8.0), away=Fixed(100.0)),), 5.0)
    return judge([run(study, Rules(), f"{seed}/{number}").lost for number in range(runs)], files).per_file, runs


# --- outages -----------------------------------------------------------------------------------------------------------


def _outages() -> Iterator[Target]:
    yield Target("E1 copysets", "any loss when 50 of 5000 servers fail, fewest copysets", 0.0015, CIDON,
                 lambda: loss_in_outage(5000, 3, minimal_copysets(5000, 3, 2), 50), _copysets, 0.05)  # fmt: skip
    yield Target("E1 random", "any loss when 50 of 5000 servers fail, scattered", 0.9999, CIDON,
                 lambda: loss_in_outage(5000, 3, random_copysets(5000, 3, 5000 * 8000 // 3), 50))  # fmt: skip
    yield Target("E1 bytes", "bytes lost then on average, 64 GiB a server", 344e6, CIDON,
                 lambda: expected_bytes_lost(5000 * 64 * 2**30, Fraction(1, 100), 3))  # fmt: skip


def _copysets(seed: int, effort: float) -> tuple[Interval, int]:
    """Files placed by the rule, and outages drawn."""
    homes = place(Study(unplaced(5000), 3000, (), 1.0, Code(1, 3)), Copysets(2), seed, 5000).homes
    sets = np.unique(np.sort(homes, axis=1), axis=0)
    count = int(100_000 * effort)
    losing = int((outages(sets.astype(np.int32), 5000, 50, count, seed) > 0).sum())
    used = len(sets) / (5000 / 3)  # files reach most of the copysets, not all: losses are counted per copyset
    interval = probability_interval(losing, count)
    return Interval(interval.estimate / used, interval.low / used, interval.high / used, interval.confidence), count


# --- over time ---------------------------------------------------------------------------------------------------------


def _over_time() -> Iterator[Target]:
    yield Target("F1", "3-of-10 out of reach, up 99 and down 1 on average", 4.420360e-15, EXACT,
                 lambda: loss(3, 10, availability(99, 1)), within=1e-6)  # fmt: skip
    yield Target("F1 simulated", "2-of-4 out of reach, up 8 and down 2 on average", 0.0272, EXACT,
                 lambda: loss(2, 4, availability(8, 2)), _churning, 1e-6)  # fmt: skip
    yield Target("F2", "part of the time a chunk is out of reach at SimEDC's site", 4.43e-4, SIMEDC,
                 lambda: unavailability_in_series([availability(87_600, 34), availability(2890.8, 0.25)]),
                 _racks, 0.15)  # fmt: skip
    for theta, value in ((1, 0.367879), (5, 0.00673795)):
        yield Target(f"F3 {theta}", f"no copy left, made {theta} times as fast as lost", value, CHUN,
                     partial(replica_count_probability, 0, theta, 1), _births(theta), 1e-5)  # fmt: skip


def _unreadable(study: Study, every: float, seed: int, runs: int) -> tuple[Interval, int]:
    """The part of all checks that found a file out of reach, run by run."""
    parts = []
    for number in range(runs):
        outcome = run(study, Rules(checks=Checks(every)), f"{seed}/{number}")
        parts.append(outcome.unreadable / outcome.checked)
    return mean_interval(parts), runs


def _churning(seed: int, effort: float) -> tuple[Interval, int]:
    study = Study(unplaced(60), 120, (Outages(Exponential(8.0), Exponential(2.0)),), 1000.0, Code(2, 4))
    return _unreadable(study, 25.0, seed, max(4, int(60 * effort)))


def _racks(seed: int, effort: float) -> tuple[Interval, int]:
    """Racks and nodes by their laws, hours as the unit; a chunk is one share on one node."""
    where = tuple(f"hall/rack-{number}/node" for number in range(300))
    weathers = (
        Shocks(Exponential(87_600.0), level=2, away=Exponential(24.0, floor=10.0)),
        Outages(Exponential(2890.8), Fixed(0.25)),
    )
    return _unreadable(Study(where, 300, weathers, 87_600.0, Code(1, 1)), 12.0, seed, max(4, int(20 * effort)))


def _births(theta: int) -> Simulation:
    """Copies that are made at a rate and lost at theirs, event by event; time without any, in stretches."""

    def simulate(seed: int, effort: float) -> tuple[Interval, int]:
        rng, stretches, span = Random(seed), 40, max(200.0, 4000.0 * effort)
        parts, copies = [], theta
        for _ in range(stretches):
            left, empty = span, 0.0
            while left > 0:
                wait = min(left, -log(1 - rng.random()) / (theta + copies))
                empty += wait if copies == 0 else 0.0
                left -= wait
                if left > 0:
                    copies += 1 if rng.random() * (theta + copies) < theta else -1
            parts.append(empty / span)
        return mean_interval(parts), stretches

    return simulate
