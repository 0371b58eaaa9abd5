"""Wires: the arrows of a network's graph, what they do to packets, and the paths that lead over them."""

from __future__ import annotations

from dataclasses import dataclass

from tahoe.sim.laws import Law, Uniform

BULK = "bulk"
NANOSECOND = 1e-9

LOCAL = Uniform(0.0005, 0.0015)
"""One way to the broker in a local network."""


@dataclass(frozen=True, slots=True)
class Link:
    """One direction of a connection. ``bandwidth`` is bytes per second, 0 = unlimited."""

    latency: Law = LOCAL
    bandwidth: float = 0.0


@dataclass(frozen=True, slots=True)
class Access:
    """How a node reaches its broker; home lines are asymmetric."""

    up: Link = Link()
    down: Link = Link()


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a wire does to packets beside carrying them: probabilities, and seconds added to each."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0


class Wire:
    """The state of one arrow of the graph."""

    __slots__ = ("bandwidth", "free_at", "sample", "trouble")

    def __init__(self, link: Link) -> None:
        self.sample = link.latency.sample
        self.bandwidth = link.bandwidth
        self.free_at = 0.0
        self.trouble: Trouble | None = None

    def pass_through(self, when: float, size: int) -> float:
        """Queue for the wire from ``when`` on; returns when the last of ``size`` bytes has entered it."""
        self.free_at = max(when, self.free_at) + size / self.bandwidth
        return self.free_at

    def backlog(self, now: float) -> int:
        """Bytes that wait for the wire."""
        return int(max(0.0, self.free_at - now) * self.bandwidth)


class Path:
    """The wires from one node to another, and the brokers between them.

    Attributes:
        blocked: nothing passes.
        era: changes when everything on the way is lost.
    """

    __slots__ = ("_latest", "_latest_bulk", "blocked", "brokers", "era", "wires")

    def __init__(self, wires: tuple[Wire, ...], brokers: tuple[str, ...]) -> None:
        self.wires = wires
        self.brokers = brokers
        self.blocked = False
        self.era = 0
        self._latest = 0.0
        self._latest_bulk = 0.0

    def in_order(self, channel: str, when: float) -> float:
        """The time of arrival, put off until everything sent before on this channel has arrived."""
        if channel == BULK:
            when = self._latest_bulk = max(when, self._latest_bulk + NANOSECOND)
        elif when <= self._latest:
            when = self._latest = self._latest + NANOSECOND
        else:
            self._latest = when
        return when

    def lose_everything(self) -> None:
        """What is under way is gone."""
        self.era += 1
        self._latest = self._latest_bulk = 0.0
