"""When each server was there and when not, as one node has seen it: a compact log, and how to read it.

It is what a grid's owner needs to know how good its servers really are, and what the laboratory feeds on. The log keeps
transitions only, in minutes, and tells "not there" from "nobody looked": a node that was off itself has seen nothing.

The file (docs/formats.md): msgpack of ``["tahoe uptime 1", {node: [minute, state, minutes later, state, …]}]``. The first
minute counts from the epoch, every other from the one before; states are those below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from tahoe.errors import BadConfiguration

GONE: Final = 0
THERE: Final = 1
UNSEEN: Final = 2

MOST_TRANSITIONS: Final = 20_000
"""Kept per server; the oldest go."""

_MAGIC: Final = "tahoe uptime 1"
_MINUTE: Final = 60
_decode: Final = msgspec.msgpack.Decoder(tuple[str, dict[str, list[int]]]).decode


class Stretch(NamedTuple):
    """A time in which a server was there (``state`` is ``THERE``), ``GONE`` or ``UNSEEN``; seconds since the epoch."""

    start: int
    end: int
    state: int


class UptimeLog:
    """Transitions of servers."""

    def __init__(self, transitions: Mapping[str, Iterable[tuple[int, int]]] | None = None) -> None:
        self._transitions = {
            node: list(each) for node, each in (transitions or {}).items()
        }  # (minute, state), ascending

    @classmethod
    def unpack(cls, data: bytes) -> UptimeLog:
        """Read the file.

        Raises:
            BadConfiguration: it is none, or damaged.
        """
        try:
            magic, packed = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadConfiguration(f"this is no uptime log: {error}") from error
        if magic != _MAGIC or any(len(numbers) % 2 for numbers in packed.values()):
            raise BadConfiguration("this is no uptime log that this release reads")
        return cls({node: _unpacked(numbers) for node, numbers in packed.items()})

    def pack(self) -> bytes:
        """The file."""
        packed = {node: _packed(transitions) for node, transitions in self._transitions.items()}
        return msgspec.msgpack.encode((_MAGIC, packed))

    def see(self, node: str, state: int, when: float) -> None:
        """A server is in this state now; nothing is added while it stays so. Times never go back."""
        known = self._transitions.setdefault(node, [])
        minute = int(when) // _MINUTE
        if known and minute <= known[-1][0]:
            minute = known[-1][0]
            if known[-1][1] == state:
                return
            known.pop()
        if not known or known[-1][1] != state:
            known.append((minute, state))
            del known[:-MOST_TRANSITIONS]

    def look_away(self, when: float) -> None:
        """From now on nobody looks: what follows is not known."""
        for node in self._transitions:
            self.see(node, UNSEEN, when)

    def nodes(self) -> list[str]:
        """All servers that were ever seen."""
        return list(self._transitions)

    @property
    def last(self) -> int:
        """When something was last written down, seconds since the epoch."""
        return max((each[-1][0] for each in self._transitions.values() if each), default=0) * _MINUTE

    def stretches(self, node: str, until: float) -> Iterator[Stretch]:
        """What is known of a server, in its order; the last stretch ends ``until``."""
        known = [*self._transitions.get(node, ()), (max(int(until) // _MINUTE, 0), UNSEEN)]
        for (start, state), (end, _) in pairwise(known):
            if end > start:
                yield Stretch(start * _MINUTE, end * _MINUTE, state)

    def availability(self, node: str, until: float) -> float | None:
        """The part of the time in which somebody looked that a server was there; None if nobody ever did."""
        seconds = {GONE: 0, THERE: 0, UNSEEN: 0}
        for stretch in self.stretches(node, until):
            seconds[stretch.state] += stretch.end - stretch.start
        looked = seconds[GONE] + seconds[THERE]
        return seconds[THERE] / looked if looked else None


def _packed(transitions: list[tuple[int, int]]) -> list[int]:
    minutes = [minute for minute, _ in transitions]
    steps = [later - sooner for sooner, later in pairwise([0, *minutes])]
    return [number for step, (_, state) in zip(steps, transitions, strict=True) for number in (step, state)]


def _unpacked(numbers: list[int]) -> Iterator[tuple[int, int]]:
    minute = 0
    for step, state in zip(numbers[::2], numbers[1::2], strict=True):
        minute += step
        yield minute, state
