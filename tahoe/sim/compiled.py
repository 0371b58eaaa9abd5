"""Compiled: the Monte Carlo of the simplest weather, by numba, twenty-five times as fast and share for share the same.

It knows one weather, disks that die and are replaced by empty ones at once, and the standard placement rules. The repair
rule stays an object: it is asked once for every number of shares, and its answers are compiled in. What the standard
rules do when all servers are up and alike is simple enough to be said twice (a missing share goes to the first server in the
file's order that holds none), and a test holds both to the same homes, repairs and times of loss.

numba is an optional package (``pip install 'tahoe-grid[fast]'``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from math import inf
from random import Random
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tahoe.errors import BadConfiguration
from tahoe.policy.placement import ASKED_PER_SHARE, SPREAD
from tahoe.policy.repair import FillGaps
from tahoe.sim.inventory import Numbers
from tahoe.sim.montecarlo import Placed, Rules, Study
from tahoe.sim.weather import Losses, forecast


class Count(NamedTuple):
    """What came of a compiled run: a shorter ``Outcome``."""

    lost_at: NDArray[np.float64]
    repairs: int
    made: int

    @property
    def lost(self) -> int:
        """How many files were lost."""
        return int(np.isfinite(self.lost_at).sum())


def run_compiled(study: Study, rules: Rules, seed: int | str = 1, placed: Placed | None = None) -> Count:
    """One history of a grid, as ``montecarlo.run`` makes it.

    Args:
        study: its weather must be ``Losses`` with replacement at once.
        rules: placement must be the standard rule, and the budget unlimited.
        seed: names the run.
        placed: where shares are; unless it is given, each file gets servers at random, as the standard rule does.

    Raises:
        BadConfiguration: the study is more than this can do, or numba is missing.
    """
    _check(study, rules)
    incidents = forecast(study.weathers, study.locations, study.seconds, seed)
    if placed is None:
        random_seed = Random(f"{seed}/placement").getrandbits(32)
        width = min(len(study.locations), ASKED_PER_SHARE * study.code.total)
        orders = _kernels().shuffle(study.files, len(study.locations), width, random_seed)
        placed = Placed(np.ascontiguousarray(orders[:, : study.code.total]), orders)
    checks = rules.checks
    turns = int(study.seconds / checks.every * checks.cohorts + 1)
    times = (1 + np.arange(turns) / checks.cohorts) * checks.every
    decisions = np.array([rules.repair.decide(living) for living in range(study.code.total + 1)])
    lost_at, repairs, made = _kernels().replay(
        placed.homes.copy(),
        placed.orders,
        (np.array([one.at for one in incidents]), np.array([one.server for one in incidents], np.int32)),
        (times[times <= study.seconds], checks.cohorts),
        (study.code.needed, decisions),
    )
    return Count(lost_at, int(repairs), int(made))


def _check(study: Study, rules: Rules) -> None:
    simple = all(isinstance(one, Losses) and getattr(one.away, "seconds", None) == 0 for one in study.weathers)
    placed = any(study.locations) or rules.placement is not SPREAD or rules.mend is not FillGaps
    if not simple or placed or rules.checks.budget != inf:
        raise BadConfiguration(
            "the compiled Monte Carlo knows Losses with replacement at once, the standard rules of placement on servers without locations, and no budget; "
            "take tahoe.sim.montecarlo.run for the rest"
        )
    if len(study.locations) < study.code.total:
        raise BadConfiguration("the compiled Monte Carlo puts each share on a server of its own: there are too few")


class _Kernels(NamedTuple):
    """The loops at the end of this module, compiled."""

    shuffle: Callable[..., Any]
    replay: Callable[..., Any]


@cache
def _kernels() -> _Kernels:
    """Compile when it is first needed; what calls another compiled function must find it compiled."""
    try:
        compiler = import_module("numba").njit(nogil=True)
    except ModuleNotFoundError as error:
        raise BadConfiguration("numba is not installed. Remedy: pip install 'tahoe-grid[fast]'") from error
    inner = {name: compiler(globals()[name]) for name in ("_mend", "_lose")}
    replay = FunctionType(_replay.__code__, {**globals(), **inner})
    return _Kernels(compiler(_shuffle), compiler(replay))


def _shuffle(files: int, servers: int, width: int, seed: int) -> Numbers:
    """For each file the front of a random order of all servers, by the first steps of a Fisher-Yates shuffle."""
    np.random.seed(seed)  # noqa: NPY002  # numba compiles the legacy generator, one per thread, and a run seeds it anew
    orders = np.empty((files, width), np.int32)
    deck = np.arange(servers).astype(np.int32)
    for file in range(files):
        for place in range(width):
            other = place + np.random.randint(servers - place)  # noqa: NPY002  # (same)
            deck[place], deck[other] = deck[other], deck[place]
            orders[file, place] = deck[place]
    return orders


def _replay(homes: Any, orders: Any, incidents: Any, checks: Any, code: Any) -> tuple[Any, int, int]:
    """What ``montecarlo`` does, in loops that a compiler likes: incidents come before checks of the same moment."""
    at, servers = incidents
    times, cohorts = checks
    needed, decisions = code
    lost_at = np.full(len(homes), np.inf)
    repairs, made, turn = 0, 0, 0
    for event in range(len(at) + 1):
        now = at[event] if event < len(at) else np.inf
        while turn < len(times) and times[turn] < now:
            for file in range(turn % cohorts, len(homes), cohorts):
                living = np.sum(homes[file] >= 0)
                if needed <= living < homes.shape[1] and decisions[living] and lost_at[file] == np.inf:
                    repairs += 1
                    made += _mend(homes[file], orders[file])
            turn += 1
        if event < len(at):
            _lose(homes, servers[event], needed, lost_at, now)
    return lost_at, repairs, made


def _mend(homes: Any, order: Any) -> int:
    """Give each missing share the first server in the order that holds none; returns how many were made."""
    front, made = 0, 0
    for number in range(len(homes)):
        if homes[number] < 0:
            while np.any(homes == order[front]):
                front += 1
            homes[number] = order[front]
            made += 1
    return made


def _lose(homes: Any, server: int, needed: int, lost_at: Any, now: float) -> None:
    """A server forgets everything."""
    for file in range(len(homes)):
        for number in range(homes.shape[1]):
            if homes[file, number] == server:
                homes[file, number] = -1
                if np.sum(homes[file] >= 0) < needed and lost_at[file] == np.inf:
                    lost_at[file] = now
