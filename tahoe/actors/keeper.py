"""The keeper: checks, verifies and repairs whatever a capability names, of whichever kind.

Each of these needs the verify cap at most, so everything else is taken away from a capability before a story begins. What
a capability holds by itself (a literal) can't be lost, and what is of a kind not served here can't be helped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from tahoe.actors.checking import INDEXES_IN_MESSAGE, ask_holdings, file_health
from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.leases import FileLeases, Mandate, delegated_master
from tahoe.actors.repairing import NOTHING_DONE, Findings, Mended, mend_file
from tahoe.actors.servers import Server
from tahoe.actors.slotchecking import SlotFindings, check_slot, verify_slot
from tahoe.actors.slotrepairing import mend_slot
from tahoe.actors.terms import ignore_progress
from tahoe.actors.verifying import verify_file
from tahoe.codec import base32
from tahoe.codec.capability import Capability, Directory, ImmutableVerify, Literal, SlotVerify
from tahoe.context import AskEach, Errand, Queue
from tahoe.errors import BadCapability
from tahoe.policy.health import LITERAL_HEALTH, Health
from tahoe.policy.repair import AT_ONCE, RepairRule
from tahoe.protocol import AddLeases, CancelLeases, LeasesAdded, LeasesCancelled, LeaseWanted, NodeId

Target: TypeAlias = ImmutableVerify | SlotVerify
"""What is looked after: an immutable file or a slot, be it a directory's or not."""

AT_A_TIME = 8
"""Objects that are worked on at the same time where each needs messages of its own."""

LEASES_IN_MESSAGE = 1024

I = TypeVar("I")  # noqa: E741  # an item
O = TypeVar("O")  # noqa: E741  # an outcome


def target_of(capability: Capability) -> Target | None:
    """What there is to be looked after; None for what can't be lost.

    Raises:
        BadCapability: it is of a kind that is not served here.
    """
    capability.check_served()
    verifier = capability.verifier()
    file = verifier.file if isinstance(verifier, Directory) else verifier
    if isinstance(file, (ImmutableVerify, SlotVerify)):
        return file
    inner = capability.file if isinstance(capability, Directory) else capability
    if isinstance(inner, Literal):
        return None
    raise BadCapability("there is no way to check capabilities of this kind")


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found of one object.

    Args:
        target: the object; None for a literal.
        health: of it.
        findings: what a repair starts from.
        verified: whether every byte was looked at.
    """

    target: Target | None
    health: Health
    findings: Findings | SlotFindings | None = None
    verified: bool = False

    @property
    def storage_index(self) -> bytes:
        """Of the object; empty for a literal."""
        return b"" if self.target is None else self.target.storage_index

    def as_json(self) -> dict[str, Any]:
        """As programs get it."""
        if self.target is None:
            return {"storage-index": "", "summary": "Healthy (LIT)", "results": {"healthy": True}}
        return {
            "storage-index": base32.encode(self.storage_index),
            "summary": self.health.summary,
            "results": self.health.as_json(self.storage_index),
        }


LITERAL = Examination(None, LITERAL_HEALTH)


class Keeper:
    """Checks, verifies and repairs.

    Args:
        desk: of the node.
    """

    def __init__(self, desk: KeepingDesk) -> None:
        self._desk = desk

    async def check(self, targets: Sequence[Target | None]) -> list[Examination]:
        """Ask servers about objects; files are asked about many at a time."""
        files = [target for target in targets if isinstance(target, ImmutableVerify)]
        slots = [target for target in targets if isinstance(target, SlotVerify)]
        found: dict[Target, Examination] = {}
        for start in range(0, len(files), INDEXES_IN_MESSAGE):
            some = files[start : start + INDEXES_IN_MESSAGE]
            holdings = await ask_holdings(self._desk, [file.storage_index for file in some], self._desk.servers())
            for file in some:
                found[file] = Examination(file, file_health(file, holdings, {}), Findings(holdings))
        found.update(zip(slots, await do_each(self._desk, slots, self._check_slot), strict=True))
        return [LITERAL if target is None else found[target] for target in targets]

    async def _check_slot(self, target: SlotVerify) -> Examination:
        findings = await check_slot(self._desk, target, self._desk.servers())
        return Examination(target, findings.health(), findings)

    async def verify(
        self, target: Target | None, progress: Callable[[int, int], None] = ignore_progress
    ) -> Examination:
        """Look at every byte of every share of an object.

        Args:
            target: the object.
            progress: called with shares done and shares in all, where that is known.
        """
        if target is None:
            return LITERAL
        servers = self._desk.servers()
        if isinstance(target, SlotVerify):
            findings = await verify_slot(self._desk, target, servers)
            return Examination(target, findings.health(), findings, verified=True)
        found = await verify_file(self._desk, target, servers, progress)
        return Examination(target, found.health, Findings(found.holdings, found.flaws), verified=True)

    async def mend(
        self,
        examination: Examination,
        rule: RepairRule = AT_ONCE,
        progress: Callable[[int, int], None] = ignore_progress,
    ) -> Mended:
        """Repair an object, if the rule says so.

        Args:
            examination: of it.
            rule: when to repair.
            progress: called with bytes done and bytes in all, where that is known.
        """
        target, findings, health = examination.target, examination.findings, examination.health
        if isinstance(target, ImmutableVerify) and isinstance(findings, Findings) and rule.wants(health):
            return await mend_file(self._desk, target, findings, progress)
        is_behind = health.mutable and not health.is_healthy and (not health.missing or rule.wants(health))
        if isinstance(target, SlotVerify) and isinstance(findings, SlotFindings) and is_behind:
            return await mend_slot(self._desk, target, findings)
        return Mended(health, NOTHING_DONE, health)

    async def add_leases(self, examinations: Iterable[Examination]) -> int:
        """Add or renew this node's leases wherever shares were found.

        Returns:
            How many objects have a lease on at least one server that took it.
        """
        wanted: dict[NodeId, list[bytes]] = {}
        for examination in examinations:
            for node in dict.fromkeys(node for nodes in examination.health.good.values() for node in nodes):
                wanted.setdefault(node, []).append(examination.storage_index)
        return len(await self.renew(wanted))

    async def renew(
        self, wanted: Mapping[NodeId, Sequence[bytes]], mandate: Mandate | None = None
    ) -> dict[bytes, None]:
        """Add or renew leases on what servers have of some storage indexes.

        Args:
            wanted: indexes by server.
            mandate: of the account that they are for; None: this node's.

        Returns:
            The indexes on which at least one server took it.
        """
        now, delegation = int(self._desk.ctx.wall_time()), mandate.delegation if mandate is not None else b""
        errands = [
            Errand(key, server.address, AddLeases(leases, delegation, now))
            for key, server, leases in self._lease_parcels(wanted, self._master(mandate))
        ]
        leased: dict[NodeId, dict[bytes, None]] = {}
        timeout = self._desk.terms().room.habits.patience
        async with AskEach[tuple[NodeId, int], LeasesAdded](self._desk.ctx, errands, timeout=timeout) as outcomes:
            async for (node, _), outcome in outcomes:
                if isinstance(outcome, LeasesAdded):
                    leased.setdefault(node, {}).update(dict.fromkeys(outcome.storage_indexes))
        if mandate is not None:  # what was repaired bears our own lease until its owner's account has taken it over
            await self.cancel({node: list(indexes) for node, indexes in leased.items()})
        return dict.fromkeys(index for indexes in leased.values() for index in indexes)

    async def cancel(self, wanted: Mapping[NodeId, Sequence[bytes]], mandate: Mandate | None = None) -> int:
        """Cancel leases that this node has made, for itself or by a mandate.

        Returns:
            How many servers did.
        """
        errands = [
            Errand(key, server.address, CancelLeases(leases))
            for key, server, leases in self._lease_parcels(wanted, self._master(mandate))
        ]
        timeout, count = self._desk.terms().room.habits.patience, 0
        async with AskEach[tuple[NodeId, int], LeasesCancelled](self._desk.ctx, errands, timeout=timeout) as outcomes:
            async for _, outcome in outcomes:
                count += isinstance(outcome, LeasesCancelled)
        return count

    def _master(self, mandate: Mandate | None) -> bytes:
        master = self._desk.terms().lease_master
        return master if mandate is None else delegated_master(master, mandate.account)

    def _lease_parcels(
        self, wanted: Mapping[NodeId, Sequence[bytes]], master: bytes
    ) -> Iterator[tuple[tuple[NodeId, int], Server, tuple[LeaseWanted, ...]]]:
        """Leases by server in reach, as many together as fit a message. Nobody waits for servers that are known to sleep."""
        sites = {server.node: server for server in self._desk.in_reach(self._desk.sites().values())}
        secrets: dict[bytes, FileLeases] = {}
        for node, indexes in wanted.items():
            for start in range(0, len(indexes) if node in sites else 0, LEASES_IN_MESSAGE):
                each = []
                for index in indexes[start : start + LEASES_IN_MESSAGE]:
                    if index not in secrets:
                        secrets[index] = FileLeases(master, index)
                    each.append(LeaseWanted(index, secrets[index].on(sites[node].lease_seed)))
                yield (node, start), sites[node], tuple(each)


async def do_each(
    desk: KeepingDesk, items: Sequence[I], work: Callable[[I], Awaitable[O]], most: int = AT_A_TIME
) -> list[O]:
    """Do something with each of many items, some at the same time.

    Returns:
        What came of each, in order.

    Raises:
        Exception: whatever the work raises.
    """
    ended: Queue[tuple[int, O | Exception]] = desk.ctx.queue()
    waiting = deque(enumerate(items))

    async def run() -> None:
        while waiting:
            place, item = waiting.popleft()
            try:
                ended.put_nowait((place, await work(item)))
            except Exception as error:  # noqa: BLE001  # it is raised where the outcome is taken
                ended.put_nowait((place, error))

    tasks = [desk.ctx.spawn(run()) for _ in range(min(most, len(items)))]
    found: dict[int, O] = {}
    try:
        while len(found) < len(items):
            place, outcome = await ended.get()
            if isinstance(outcome, Exception):
                raise outcome
            found[place] = outcome
    finally:
        for task in tasks:
            task.cancel()
    return [found[place] for place in range(len(items))]
