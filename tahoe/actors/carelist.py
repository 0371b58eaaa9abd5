"""The care list: what a caretaker looks after, durable, and what it knows of each object.

There are two levels. A person names *roots*: a directory, a file, or a manifest (a slot full of verify caps, for a caretaker
that may not read). A round over a root makes *records*, one an object, which keep no power but the verify cap's. Records are
spread over many small values, so that little is written when little changes. Roots are as secret as what they read; and a
record has a path, so that a person can be told what is in danger. Paths stay here: manifests, messages and logs have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from tahoe.actors.keeper import Target
from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.leases import Mandate
from tahoe.codec.capability import ImmutableVerify, SlotVerify, parse
from tahoe.errors import BadCapability
from tahoe.policy.care import Outlook, Standing, Trust, outlook
from tahoe.protocol import NodeId

ROOTS = "care-roots"
SERVERS = "care-servers"
DRAWERS = 64

LONGEST_PATH = 1000
"""Characters of a path that are remembered."""

CUT = "…/"
"""What a path begins with whose beginning is not remembered."""


class Root(msgspec.Struct, array_like=True):
    """Something that a person wants to be kept, with all that is below it.

    Args:
        name: how people call it; there is one root of each name.
        capability: of a directory, a file or, if ``manifest``, of a slot that lists verify caps.
        manifest: whether it is such a slot.
        added: when, seconds since the epoch; as all times here.
        walked: when it was last seen from top to bottom; 0: never.
        trouble: why the last attempt failed; empty if it did not.
        published: write cap of the slot that a manifest of it is kept in; empty: none is.
        delegation: signed; its account is what leases are for. Empty: this node's own.
        account: that it names.
        expires: when it runs out; by then there must be another one.
        surveyed: when a walk last came to its end, though not every directory could be read; 0: never.
    """

    name: str
    capability: str
    manifest: bool = False
    added: float = 0.0
    walked: float = 0.0
    trouble: str = ""
    published: str = ""
    delegation: bytes = b""
    account: str = ""
    expires: float = 0.0
    surveyed: float = 0.0

    @property
    def mandate(self) -> Mandate | None:
        """On whose behalf leases are made; None: on this node's."""
        return Mandate(self.account, self.delegation) if self.delegation else None


class Record(msgspec.Struct, array_like=True):
    """What is known of one object.

    Args:
        capability: its verify cap.
        root: the name of a root that it was last reached from.
        reached: when that was, or when it was last found that nobody can tell whether it is still linked.
        checked: when servers were last asked about it; 0: never.
        everywhere: when all of them were.
        leased: when leases were last renewed.
        confirmed: when it was last found that it can be read.
        homes: who was last found to have each share.
        needed: k; of a slot as its version says.
        total: N.
        sequence: of a slot's version.
        flaws: shares known to be bad, as ``(node, number)``.
        behind: some homes of a slot carry another version.
        sites: how many servers there were when it was last thought of moving shares.
        owed: it wanted repair, and the allowance did not reach that far.
        path: names from that root down to it; empty for the root itself, and where no names are known. Of one that is
            very long only the end, behind ``CUT``.
        parents: storage indexes of the directories that link it; empty where it is not known which do.
    """

    capability: str
    root: str = ""
    reached: float = 0.0
    checked: float = 0.0
    everywhere: float = 0.0
    leased: float = 0.0
    confirmed: float = 0.0
    homes: dict[int, list[NodeId]] = {}
    needed: int = 0
    total: int = 0
    sequence: int = 0
    flaws: list[tuple[NodeId, int]] = []
    behind: bool = False
    sites: int = 0
    owed: bool = False
    path: str = ""
    parents: list[bytes] = []

    @property
    def target(self) -> Target:
        """The object."""
        found = _target_of_text(self.capability)
        if found is None:
            raise BadCapability("a record of the care list has no verify capability in it")
        return found

    def outlook(self, standing: Standing) -> Outlook:
        """What it can count on."""
        bad = set(self.flaws)
        holders = {
            number: [node for node in nodes if (node, number) not in bad] for number, nodes in self.homes.items()
        }
        return outlook(holders, standing, self.needed, self.total)

    def learn_homes(self, node: NodeId, numbers: Iterable[int]) -> None:
        """A server has said which shares it has, and no others."""
        held = dict.fromkeys(numbers)
        for number in [*self.homes, *held]:
            nodes = self.homes.setdefault(number, [])
            if number in held and node not in nodes:
                nodes.append(node)
            elif number not in held and node in nodes:
                nodes.remove(node)
        self.homes = {number: nodes for number, nodes in self.homes.items() if nodes}


class _Servers(msgspec.Struct, array_like=True):
    seen: dict[NodeId, float]
    gone: list[NodeId]
    failures: dict[NodeId, int]
    worked: float = 0.0


@dataclass(slots=True)
class CareList:
    """Everything that a caretaker remembers.

    Attributes:
        roots: by name.
        records: by storage index.
        seen: when each server was last heard of.
        gone: servers of which somebody has said that they are gone for good.
        trust: who gives what he claims.
        worked: when a round was last ended.
    """

    desk: KeepingDesk
    roots: dict[str, Root] = field(default_factory=dict)
    records: dict[bytes, Record] = field(default_factory=dict)
    seen: dict[NodeId, float] = field(default_factory=dict)
    gone: dict[NodeId, None] = field(default_factory=dict)
    trust: Trust = field(default_factory=Trust)
    worked: float = 0.0
    _changed: dict[int, None] = field(default_factory=dict)

    async def load(self) -> None:
        """Read what the last incarnation knew."""
        state = self.desk.ctx.state
        if stored := await state.get(ROOTS):
            self.roots = {root.name: root for root in msgspec.msgpack.decode(stored, type=list[Root])}
        if stored := await state.get(SERVERS):
            servers = msgspec.msgpack.decode(stored, type=_Servers)
            self.seen, self.gone, self.worked = servers.seen, dict.fromkeys(servers.gone), servers.worked
            self.trust = Trust(servers.failures)
        for drawer in range(DRAWERS):
            if stored := await state.get(_drawer_name(drawer)):
                for record in msgspec.msgpack.decode(stored, type=list[Record]):
                    self.records[record.target.storage_index] = record

    async def save(self) -> None:
        """Make what has changed durable. Roots are written when they change."""
        state = self.desk.ctx.state
        servers = _Servers(self.seen, list(self.gone), self.trust.failures, self.worked)
        await state.put(SERVERS, msgspec.msgpack.encode(servers))
        changed, self._changed = self._changed, {}
        by_drawer: dict[int, list[Record]] = {drawer: [] for drawer in changed}
        for index, record in self.records.items():
            if index[0] % DRAWERS in by_drawer:
                by_drawer[index[0] % DRAWERS].append(record)
        for drawer, records in sorted(by_drawer.items()):
            await state.put(_drawer_name(drawer), msgspec.msgpack.encode(records))

    async def save_roots(self) -> None:
        """Make the roots durable."""
        await self.desk.ctx.state.put(ROOTS, msgspec.msgpack.encode(list(self.roots.values())))

    def touch(self, record: Record) -> None:
        """This record has changed."""
        self._changed[record.target.storage_index[0] % DRAWERS] = None

    def reach(self, target: Target, root: str, now: float, path: str = "") -> Record:
        """An object is reached from a root, by a path if names are known; a new one gets a record."""
        record = self.records.get(target.storage_index)
        if record is None:
            record = self.records[target.storage_index] = Record(str(target))
            if isinstance(target, ImmutableVerify):
                record.needed, record.total = target.needed, target.total
        record.root, record.reached, record.path = root, now, _shortened(path)
        self.touch(record)
        return record

    def hold(self, record: Record, now: float) -> None:
        """Nobody can tell whether an object is linked any more: that is as good as if it were."""
        record.reached = now
        self.touch(record)

    def forget_unreached(self, now: float, patience: float) -> int:
        """Strike off what its root has led to no more for ``patience`` seconds. Returns how many.

        What was linked by a directory that can't be read now is held by every walk (``carewalk.py``), with all below: it
        needs care all the more.
        """
        lost = [
            index for index, record in self.records.items() if self._walked(record, now) - record.reached > patience
        ]
        for index in lost:
            self.touch(self.records[index])
            del self.records[index]
        return len(lost)

    def _walked(self, record: Record, now: float) -> float:
        """When a walk of its root last came to its end; now, if that is none any more."""
        root = self.roots.get(record.root)
        return now if root is None else max(root.walked, root.surveyed)

    def of_root(self, name: str) -> Iterator[Record]:
        """The records that were last reached from a root."""
        return (record for record in self.records.values() if record.root == name)


def indexes_by_home(records: Iterable[Record]) -> dict[NodeId, list[bytes]]:
    """Which storage indexes each server has shares of."""
    found: dict[NodeId, dict[bytes, None]] = {}
    for record in records:
        for nodes in record.homes.values():
            for node in nodes:
                found.setdefault(node, {})[record.target.storage_index] = None
    return {node: list(indexes) for node, indexes in found.items()}


def _shortened(path: str) -> str:
    return path if len(path) <= LONGEST_PATH else CUT + path[-LONGEST_PATH:].partition("/")[2]


def _drawer_name(drawer: int) -> str:
    return f"care-{drawer:02d}"


_targets: dict[str, Target] = {}
MOST_PARSED = 200_000


def _target_of_text(text: str) -> Target | None:
    """Parse a verify cap, once."""
    found = _targets.get(text)
    if found is None:
        parsed = parse(text)
        if not isinstance(parsed, (ImmutableVerify, SlotVerify)):
            return None
        if len(_targets) >= MOST_PARSED:
            _targets.clear()
        found = _targets[text] = parsed
    return found
