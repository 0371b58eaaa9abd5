"""What goes wrong in a run of the swarm: kinds of faults, each drawn with times and victims.

A seed draws which kinds are on (*swarm mode*: Groce et al., Swarm testing, 2012). With all of them always on, some would
drown others: nobody gets far enough with a file to meet a power cut while the broker is down every few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from random import Random
from typing import Final, TypeAlias

from tahoe.sim.faults import (
    AnyFault,
    BrokerRestart,
    Byzantine,
    ClockFault,
    Crash,
    DiskFault,
    FileSystemFault,
    Heal,
    MisdirectedWrite,
    Partition,
    Pause,
    Restart,
    Rumour,
    Schedule,
    Scheduled,
    SlotRot,
    Weather,
)
from tahoe.sim.lies import ALL_LIES, DENIALS, LieKind
from tahoe.sim.rumours import ALL_RUMOURS, RumourKind
from tahoe.storage.faulty import Fails, Fills, Forgets, Rots, Section, Slows
from tahoe.storage.faulty import Schedule as StoreFaults

STORM_SECONDS = 30.0
"""Faults begin within this time."""
CALM_AT = 70.0
"""By then they are over."""

MOST_FAULTS = 20
CHANCE_OF_A_KIND = 0.25
CHANCE_OF_QUIET = 0.05
CHANCE_OF_GENTLENESS = 0.6
"""That servers keep what they promised, whatever else goes wrong."""
CHANCE_OF_A_CONSPIRACY = 0.3
"""That all servers tell the lie that one of them tells, so that nobody shows it up."""
CONSPIRACIES: Final = frozenset({"wrong-block", "junk-blocks", "wrong-chain", "other-share"})
"""Lies that a reader is to see through by himself."""


class Victims:
    """Draws times and victims.

    Args:
        rng: decides.
        servers: how many there are.
        others: nicknames of everybody else.
    """

    def __init__(self, rng: Random, servers: int, others: tuple[str, ...]) -> None:
        self.rng = rng
        self.server_names = [f"server-{number}" for number in range(servers)]
        self.names = [*self.server_names, *others]

    def begin(self) -> float:
        """When something starts."""
        return self.rng.uniform(0.0, STORM_SECONDS)

    def span(self) -> tuple[float, float]:
        """Beginning and end of a fault, the end well before the calm."""
        begin = self.begin()
        return begin, min(begin + self.rng.choice((0.1, 1.0, 5.0, 30.0)), CALM_AT - 5.0)

    def node(self) -> str:
        """Anybody."""
        return self.rng.choice(self.names)

    def server(self) -> str:
        """A storage server."""
        return self.rng.choice(self.server_names)

    def group(self) -> tuple[str, ...]:
        """Some nodes."""
        return tuple(self.rng.sample(self.names, self.rng.randint(1, len(self.names))))


Maker: TypeAlias = Callable[[Victims], list[Scheduled]]


def _spell(begin: float, first: AnyFault, end: float, last: AnyFault) -> list[Scheduled]:
    return [Scheduled(begin, first), Scheduled(end, last)]


def _crash(draw: Victims) -> list[Scheduled]:
    begin, end = draw.span()
    node = draw.node()
    return _spell(begin, Crash(node), end, Restart(node))


def _power_cut(draw: Victims) -> list[Scheduled]:
    begin, end = draw.span()
    node = draw.server()
    return _spell(begin, Crash(node, power=True), end, Restart(node))


def _power_cut_of_all(draw: Victims) -> list[Scheduled]:
    begin, end = draw.span()
    return [each for node in draw.server_names for each in _spell(begin, Crash(node, power=True), end, Restart(node))]


def _new_disk(draw: Victims) -> list[Scheduled]:
    begin, end = draw.span()
    node = draw.server()
    return _spell(begin, Crash(node), end, Restart(node, empty_disk=True))


def _pause(draw: Victims) -> list[Scheduled]:
    begin, end = draw.span()
    return [Scheduled(begin, Pause(draw.node(), end - begin))]


def _lid_closed(draw: Victims) -> list[Scheduled]:
    """A laptop sleeps through the storm."""
    begin = draw.begin()
    return [Scheduled(begin, Pause(draw.node(), CALM_AT - 5.0 - begin))]


def _split(draw: Victims) -> list[Scheduled]:
    begin, end = draw.span()
    return _parted(draw, begin, end, one_way=False)


def _one_way(draw: Victims) -> list[Scheduled]:
    begin, end = draw.span()
    return _parted(draw, begin, end, one_way=True)


def _parted(draw: Victims, begin: float, end: float, *, one_way: bool) -> list[Scheduled]:
    group = draw.group()
    others = tuple(name for name in draw.names if name not in group) or tuple(draw.names[:1])
    label = f"split at {begin:.3f}"
    return _spell(begin, Partition(label, group, others, one_way), end, Heal(label))


def _behind(draw: Victims) -> list[Scheduled]:
    """Some servers miss what is written, and then a few clients hear of nobody but them."""
    rng = draw.rng
    begin = rng.uniform(0.0, 8.0)
    turn, end = begin + rng.choice((3.0, 24.0)), CALM_AT - rng.uniform(5.0, 20.0)  # a write is given 20 s
    servers, clients = draw.server_names, [name for name in draw.names if name.startswith("client")]
    few = rng.sample(servers, rng.choice((1, rng.randint(1, (len(servers) + 1) // 2))))
    readers = rng.sample(clients, rng.randint(1, len(clients)))
    others, rest = _without(draw.names, few), _without(draw.names, [*few, *readers])
    early, late = f"behind at {begin:.3f}", f"alone at {begin:.3f}"
    return [
        *_spell(begin, Partition(early, tuple(few), others), turn, Heal(early)),
        *_spell(turn, Partition(late, (*few, *readers), rest), end, Heal(late)),
    ]


def _without(names: Iterable[str], left_out: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in left_out)


def _slow_servers(draw: Victims) -> list[Scheduled]:
    """Half-done changes stand for a while in sight of everybody."""
    rng = draw.rng
    slow = tuple(rng.sample(draw.server_names, rng.randint(1, len(draw.server_names))))
    return _spell(0.0, Weather(slow, delay=rng.choice((0.05, 0.3, 1.0))), STORM_SECONDS, Weather(slow))


def _swizzle(draw: Victims) -> list[Scheduled]:
    """Nodes are cut off one by one, and let in again in another order: FoundationDB's swizzle-clogging."""
    begin, end = draw.span()
    group = draw.group()
    back = draw.rng.sample(group, len(group))
    found = []
    for place, node in enumerate(group):
        others = tuple(name for name in draw.names if name != node)
        label = f"clog {node} at {begin:.3f}"
        found.append(Scheduled(begin + 0.2 * place, Partition(label, (node,), others)))
        found.append(Scheduled(end + 0.2 * len(group) + 0.2 * back.index(node), Heal(label)))
    return found


def _weather(draw: Victims) -> list[Scheduled]:
    begin, end = draw.span()
    group, rng = draw.group(), draw.rng
    bad = Weather(
        group,
        loss=rng.choice((0.0, 0.01, 0.1, 0.4)),
        duplicate=rng.choice((0.0, 0.1, 0.5)),
        reorder=rng.choice((0.0, 0.1, 0.5)),
        delay=rng.choice((0.0, 0.0, 0.5, 3.0)),
    )
    return _spell(begin, bad, end, Weather(group))


def _clock(draw: Victims) -> list[Scheduled]:
    rng = draw.rng
    offset = rng.choice((-86400.0, -3600.0, -1.0, 10.0, 86400.0))
    return [Scheduled(draw.begin(), ClockFault(draw.node(), offset, rng.choice((0.0, -0.1, 0.1))))]


def _rot(draw: Victims) -> list[Scheduled]:
    rng = draw.rng
    section: Section = rng.choice(
        ("header", "blocks", "crypttext-hashes", "block-hashes", "share-hashes", "uri-extension")
    )
    return [Scheduled(draw.begin(), DiskFault(draw.server(), (Rots(section=section, bit=rng.randrange(4096)),)))]


def _slot_rot(draw: Victims) -> list[Scheduled]:
    return [Scheduled(draw.begin(), SlotRot(draw.server(), draw.rng.randrange(10**6)))]


def _misdirected(draw: Victims) -> list[Scheduled]:
    return [Scheduled(draw.begin(), MisdirectedWrite(draw.server(), draw.rng.randrange(10**6)))]


def _sick_disk(draw: Victims) -> list[Scheduled]:
    begin, end = draw.span()
    kinds: tuple[StoreFaults, ...] = ((Fails(),), (Fills(),), (Forgets(),), (Slows(seconds=2.0),), (Fails(times=3),))
    return [Scheduled(begin, DiskFault(draw.server(), draw.rng.choice(kinds), max(end - begin, 0.1)))]


FILE_SYSTEM_FAULTS = (("sync", "EIO"), ("sync_directory", "EIO"), ("write", "ENOSPC"), ("create", "EROFS"))


def _sick_file_system(draw: Victims) -> list[Scheduled]:
    begin, end = draw.span()
    verb, error = draw.rng.choice(FILE_SYSTEM_FAULTS)
    return [Scheduled(begin, FileSystemFault(draw.server(), verb, error, max(end - begin, 0.1)))]


def _broker(draw: Victims) -> list[Scheduled]:
    begin, end = draw.span()
    return [Scheduled(begin, BrokerRestart(end - begin))]


def _liar(kind: LieKind) -> Maker:
    def draw_one(draw: Victims) -> list[Scheduled]:
        begin, end = draw.span()
        is_plot = kind in CONSPIRACIES and draw.rng.random() < CHANCE_OF_A_CONSPIRACY
        liars = draw.server_names if is_plot else [draw.server()]
        return [Scheduled(begin, Byzantine(liar, kind, max(end - begin, 1.0))) for liar in liars]

    return draw_one


def _rumour(kind: RumourKind) -> Maker:
    def draw_one(draw: Victims) -> list[Scheduled]:
        return [Scheduled(draw.begin(), Rumour(draw.node(), kind, draw.rng.randrange(10**6)))]

    return draw_one


def _stale_rumour(draw: Victims) -> list[Scheduled]:
    """What a node said in another life is told after it began a new one."""
    begin = draw.begin()
    born, told = begin + 0.1, begin + draw.rng.choice((1.0, 5.0, 20.0))
    node = draw.node()
    return [
        *_spell(begin, Crash(node), born, Restart(node)),
        Scheduled(told, Rumour(draw.node(), "stale", draw.rng.randrange(10**6))),
    ]


KINDS: Final[Mapping[str, Maker]] = {
    "crash": _crash,
    "power cut": _power_cut,
    "power cut of all": _power_cut_of_all,
    "new disk": _new_disk,
    "pause": _pause,
    "lid closed": _lid_closed,
    "partition": _split,
    "one-way partition": _one_way,
    "left behind": _behind,
    "slow servers": _slow_servers,
    "swizzle-clogging": _swizzle,
    "weather": _weather,
    "clock": _clock,
    "rot": _rot,
    "slot rot": _slot_rot,
    "misdirected write": _misdirected,
    "sick disk": _sick_disk,
    "sick file system": _sick_file_system,
    "broker restart": _broker,
    **{f"rumour: {kind}": _rumour(kind) for kind in ALL_RUMOURS if kind != "stale"},
    "rumour: stale": _stale_rumour,
    **{f"lie: {kind}": _liar(kind) for kind in ALL_LIES},
}
"""All kinds of faults, by name."""


HARSH: Final = frozenset({"new disk", "slot rot", "misdirected write", *(f"lie: {kind}" for kind in DENIALS)})
"""Kinds by which servers lose or deny what they promised; little can be demanded where one of them is on."""


def draw_storm(rng: Random, servers: int, others: tuple[str, ...]) -> Schedule:
    """The faults of a seed."""
    is_gentle = rng.random() < CHANCE_OF_GENTLENESS
    drawn = [kind for kind in KINDS if rng.random() < CHANCE_OF_A_KIND]
    kinds = [KINDS[kind] for kind in drawn if not (is_gentle and kind in HARSH)]
    if rng.random() < CHANCE_OF_QUIET:
        kinds = []
    draw = Victims(rng, servers, others)
    found = [entry for _ in range(rng.randint(0, MOST_FAULTS)) if kinds for entry in rng.choice(kinds)(draw)]
    return tuple(sorted(found, key=lambda entry: entry.at))
