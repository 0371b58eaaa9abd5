"""Labour: what handling packets costs processors, and cores that the processes of a grid share.

By default each node of a world has a processor of its own, which only computes (``prices.py``), and packets cost nothing:
right where a node is a machine and lines are slow. Ten servers, a client and a broker on one machine are another matter.
There nothing but processors takes time, and a packet passes three of them::

    sender: toll ──► broker: toll ──► wires ──► receiver: toll ──► endpoint

A process does one thing at a time, in the order in which it came up; a core serves one process at a time, and whoever
waits for one is served in turn. That is coarser than a scheduler with time slices, but as tolls are short (a millisecond
is a long one) nobody waits much longer for it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from tahoe.sim.network import BROKER
from tahoe.sim.prices import FREE, Price, price_of
from tahoe.sim.world import World


@dataclass(frozen=True, slots=True)
class Toll:
    """What it costs to send a packet, or to receive one.

    Args:
        packet: seconds of a core for each.
        byte: and for each of its bytes.
    """

    packet: float = 0.0
    byte: float = 0.0

    def of(self, size: int) -> float:
        """Seconds for a packet of ``size`` bytes."""
        return self.packet + self.byte * size


FREE_PASSAGE = Toll()


@dataclass(frozen=True, slots=True)
class Labour:
    """The processors of a grid that stands on one machine.

    Args:
        cores: how many processes run at the same time; 0: all of them.
        tolls: of each kind of node (server, client, introducer, vdrive), and of the broker, which each packet passes
            once; kinds that are not named handle packets in no time.
        pace: how many times as long as ``prices.py`` says it takes to compute.
        prices: of functions that actors hand to ``compute``, by their name, instead of those.
    """

    cores: int = 0
    tolls: Mapping[str, Toll] = field(default_factory=dict)
    pace: float = 1.0
    prices: Mapping[str, Price] = field(default_factory=dict)

    def price_of(self, function: Callable[..., Any]) -> Price:
        """What a function costs here."""
        own = self.prices.get(getattr(function, "__name__", ""))
        if own is not None:
            return own
        price = price_of(function)
        return price if price is FREE else Price(self.pace * price.call, self.pace * price.byte, price.wait)


class Cores:
    """Cores of one machine.

    Args:
        world: whose clock runs.
        count: how many processes are served at the same time; 0: all.
    """

    def __init__(self, world: World, count: int = 0) -> None:
        self.world = world
        self._free: float = count or inf
        self._waiting: deque[Process] = deque()

    def want(self, process: Process) -> None:
        """Let a process do its next piece of work as soon as there is a core for it."""
        if self._free:
            self._free -= 1
            self.world.after(process.next_seconds(), self._done, process)
        else:
            self._waiting.append(process)

    def _done(self, process: Process) -> None:
        self._free += 1
        process.finish_next()
        if process.has_work:
            self._waiting.append(process)
        if self._waiting and self._free:
            self.want(self._waiting.popleft())


class Process:
    """Does one piece of work after the other."""

    __slots__ = ("_cores", "_work")

    def __init__(self, cores: Cores) -> None:
        self._cores = cores
        self._work: deque[tuple[float, Callable[..., None], tuple[Any, ...]]] = deque()

    @property
    def has_work(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._work)

    def work(self, seconds: float, done: Callable[..., None], *arguments: Any) -> None:
        """Occupy a core for so long, after all that was asked for before; then call ``done(*arguments)``."""
        self._work.append((seconds, done, arguments))
        if len(self._work) == 1:
            self._cores.want(self)

    def next_seconds(self) -> float:
        """How long the next piece of work takes."""
        return self._work[0][0]

    def finish_next(self) -> None:
        """It is done. It stays the first of all until then, so that what it brings up is queued behind it."""
        _, done, arguments = self._work[0]
        done(*arguments)
        self._work.popleft()


@dataclass(slots=True)
class Account:
    """What nodes of a kind have done so far: packets and bytes sent or received, and seconds computed."""

    packets: int = 0
    bytes_handled: int = 0
    computed: float = 0.0


class Workplace:
    """The one machine on which a grid stands.

    Args:
        world: whose clock runs.
        labour: what things cost.

    Attributes:
        accounts: of each kind of node, and the broker.
    """

    def __init__(self, world: World, labour: Labour) -> None:
        self.labour = labour
        self.accounts: defaultdict[str, Account] = defaultdict(Account)
        self.cores = Cores(world, labour.cores)
        self._broker = Process(self.cores)
        self._broker_toll = self.toll(BROKER)

    def note(self, kind: str, size: int) -> None:
        """A packet of so many bytes is handled."""
        account = self.accounts[kind]
        account.packets += 1
        account.bytes_handled += size

    def toll(self, kind: str) -> Toll:
        """Of a kind of node, or the broker."""
        return self.labour.tolls.get(kind, FREE_PASSAGE)

    def pass_on(self, size: int, onward: Callable[..., None], *arguments: Any) -> None:
        """Let the broker handle a packet."""
        self.note(BROKER, size)
        self._broker.work(self._broker_toll.of(size), onward, *arguments)


class Clerk:
    """The hands of one incarnation: they send and receive its packets, and compute, one thing at a time.

    Args:
        workplace: where it works.
        kind: of node.
        transmit: puts a packet on the wires.
        receive: takes a packet that has been handled: sender, channel, packet.

    Attributes:
        unsent: bytes of packets that have not been handled yet on their way out.
    """

    def __init__(
        self, workplace: Workplace, kind: str, transmit: Callable[..., None], receive: Callable[..., None]
    ) -> None:
        self._process = Process(workplace.cores)
        self.unsent = 0
        self._workplace = workplace
        self._kind = kind
        self._toll = workplace.toll(kind)
        self._transmit = transmit
        self._receive = receive

    def transmit(self, to: Any, channel: str, packet: Any, size: int) -> None:
        """Send a packet."""
        self.unsent += size
        self._workplace.note(self._kind, size)
        self._process.work(self._toll.of(size), self._sent, to, channel, packet, size)

    def _sent(self, to: Any, channel: str, packet: Any, size: int) -> None:
        self.unsent -= size
        self._workplace.pass_on(size, self._transmit, to, channel, packet, size)

    def receive(self, sender: Any, channel: str, packet: Any) -> None:
        """A packet has come."""
        size = packet.size if hasattr(packet, "size") else len(packet)
        self._workplace.note(self._kind, size)
        self._process.work(self._toll.of(size), self._receive, sender, channel, packet)

    def compute(self, seconds: float, wait: float, done: Callable[[Any], None]) -> None:
        """Compute, then let ``wait`` pass beside; ``done(None)`` is called at the end."""
        self._workplace.accounts[self._kind].computed += seconds
        self._process.work(seconds, self._workplace.cores.world.after, wait, done, None)
