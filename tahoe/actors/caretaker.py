"""The caretaker: looks after what it was told to, unasked and for years, and says loudly when it could not.

It wakes up now and then, sees whether there is something due, and does as much of it as its budget allows. All it needs to
know survives a restart (``carelist.py``), so it may be killed at any moment; what it does to shares is idempotent, so
there may be several caretakers of one file. It needs no power over what it keeps but to read directories, and not even
that where somebody keeps a manifest of verify caps for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tahoe.actors.carelist import CareList, Root, indexes_by_home
from tahoe.actors.carerehoming import Rehoming
from tahoe.actors.carereport import CareReport, report_on
from tahoe.actors.careround import CareRound, Tidings
from tahoe.actors.carewalk import CareWalk
from tahoe.actors.carework import CareWork
from tahoe.actors.client import Client
from tahoe.actors.keeper import Target, target_of
from tahoe.actors.manifests import create_manifest, read_manifest, write_manifest
from tahoe.actors.tree import Walk
from tahoe.codec.capability import Capability, Directory, SlotRead, SlotWrite, parse
from tahoe.context import Actor, Context
from tahoe.errors import BadCapability, BadMessage, NoSuchRoot, TahoeError
from tahoe.policy.allowance import Allowance, Budget
from tahoe.policy.care import CareRules
from tahoe.protocol import CARETAKER, NodeId
from tahoe.session.delegation import open_delegation, parse_delegation

DAY = 86400.0
OWN_ROOT = "private"
"""How the node's own root is called."""

FORGET_AFTER = 90 * DAY
"""What walks of its root have not led to for so long is looked after no more."""


@dataclass(frozen=True, slots=True)
class CareTerms:
    """How a caretaker goes about it.

    Args:
        rules: when to do what.
        budget: what may be spent.
        tick: seconds between two looks at what is due.
        own_roots: look after the node's own root and the grid's named ones, without being told.
        verify_only: hold nothing that can read what is looked after: verify caps, and read caps of manifests.
    """

    rules: CareRules = field(default_factory=CareRules)
    budget: Budget = field(default_factory=Budget)
    tick: float = 3600.0
    own_roots: bool = True
    verify_only: bool = False


def nobody(report: CareReport) -> None:
    """Nobody wants to hear."""


class Caretaker(Actor):
    """Keeps what is on its list.

    Args:
        ctx: of this actor.
        client: of the same node, which reads directories and keeps files.
        terms: how to go about it.

    Attributes:
        care: what it looks after.
        shared: whom it sees, and what it has done.
        on_change: called with a report whenever the state of the whole has changed.
    """

    role = CARETAKER

    def __init__(self, ctx: Context, client: Client, terms: CareTerms) -> None:
        super().__init__(ctx)
        self._client = client
        self._terms = terms
        self.care = CareList(client.keeping)
        self.shared = CareRound(client.keeping, self.care, terms.rules, Allowance(terms.budget, ctx.now()))
        self._work = CareWork(self.shared, client.keeper)
        self._rehoming = Rehoming(self.shared, client.slots)
        self.on_change: Callable[[CareReport], None] = nobody
        self._state = ""
        self._busy = False
        self._told = -DAY

    async def start(self) -> None:
        """Read what is known, and begin."""
        await self.care.load()
        self.ctx.spawn(self._run())

    # --- what people say ---------------------------------------------------------------------------------------

    async def add(self, name: str, capability: str, *, manifest: bool = False, delegation: str = "") -> None:
        """Look after something.

        Args:
            name: how it is called; what had this name before is looked after no more.
            capability: of a directory, a file, or a manifest.
            manifest: whether it is one.
            delegation: of the account that leases are for (``session/delegation.py``); empty: this node's own.

        Raises:
            BadCapability: it is of no kind that can be looked after, or the delegation is of no use here.
        """
        found = parse(capability)
        if manifest and not isinstance(found, (SlotRead, SlotWrite)):
            raise BadCapability("a manifest is a slot; give its read capability")
        if target_of(found) is None:
            raise BadCapability("this capability holds the file itself: it can't be lost, and needs no care")
        if self._terms.verify_only and not manifest:
            capability = verify_only(found)
        root = Root(name, capability, manifest, self.ctx.wall_time())
        if delegation:
            root.delegation = parse_delegation(delegation)
            root.account, _, root.expires = self._opened(root.delegation)
        self.care.roots[name] = root
        await self.care.save_roots()

    def _opened(self, signed: bytes) -> tuple[str, NodeId, int]:
        """The account, the delegate and the end of a delegation.

        Raises:
            BadCapability: it was not signed by its account, has run out, or was given to somebody else.
        """
        try:
            found = open_delegation(self._client.membership.ledger.grid_public_key, signed)
        except BadMessage as error:
            raise BadCapability(f"this delegation does not hold: {error}") from error
        if found.delegate != self.ctx.name:
            raise BadCapability(f"this delegation was given to {found.delegate}, and this node is {self.ctx.name}")
        if found.expires < self.ctx.wall_time():
            raise BadCapability("this delegation has run out; ask the owner of the account for a new one")
        return found.account, found.delegate, found.expires

    async def remove(self, name: str) -> None:
        """Look after it no more. What it led to is forgotten at once.

        Leases run out by themselves; those that were made on behalf of another account are cancelled.

        Raises:
            NoSuchRoot: there is none of this name.
        """
        root = self.care.roots.pop(name, None)
        if root is None:
            raise NoSuchRoot(name)
        if root.mandate is not None:
            await self._client.keeper.cancel(indexes_by_home(self.care.of_root(name)), root.mandate)
        for record in list(self.care.of_root(name)):
            self.care.touch(record)
            del self.care.records[record.target.storage_index]
        await self.care.save_roots()
        await self.care.save()

    async def publish(self, name: str) -> SlotRead:
        """Keep a manifest of all that a root leads to, for a caretaker elsewhere that may read none of it.

        Returns:
            The manifest's read cap: it gives verify caps away, and nothing more.

        Raises:
            NoSuchRoot: there is none of this name.
        """
        root = self.care.roots.get(name)
        if root is None:
            raise NoSuchRoot(name)
        if not root.published:
            root.published = str(await create_manifest(self._client.slots, self._listed(root)))
            await self.care.save_roots()
        return self._manifest_slot(root).read_only()

    async def server_gone(self, node: str, *, gone: bool = True) -> None:
        """A server is gone for good, or is not after all: what it had is made anew at the next round."""
        found = next((server.node for server in self._client.membership.servers() if server.node == node), None)
        if found is None:
            raise NoSuchRoot(node)
        self.care.gone.pop(found, None)
        if gone:
            self.care.gone[found] = None
        await self.care.save()

    def report(self) -> CareReport:
        """How it stands with everything."""
        return report_on(self.care, self.shared.standing(), self._terms.rules, self.ctx.wall_time())

    @property
    def tidings(self) -> Tidings:
        """What was done since the node started."""
        return self.shared.tidings

    # --- rounds ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self.ctx.sleep(self._terms.tick * self.ctx.rng.uniform(0.5, 1.5))
            self.shared.meet()
            if self._terms.budget.is_open(self.ctx.wall_time()):
                await self.round()

    async def round(self, *, everything: bool = False) -> None:
        """Do what is due.

        Args:
            everything: as if all of it were due.
        """
        if self._busy:
            return
        self._busy = True
        try:
            worked = await self._round(everything=everything)
        except TahoeError as error:
            self.shared.tidings.complain(f"a round was broken off: {error}")
            worked = True
        finally:
            self._busy = False
        if worked or self.ctx.now() - self._told >= DAY:
            self._tell()

    async def _round(self, *, everything: bool) -> bool:
        """Do what is due; whether anything was."""
        self.shared.meet()
        if self._terms.own_roots:
            await self._adopt_own_roots()
        await self._walk_what_is_due(everything=everything)
        worked = await self._work.round(everything=everything)
        self.care.forget_unreached(self.ctx.wall_time(), FORGET_AFTER)
        self.care.worked = self.ctx.wall_time()
        await self.care.save()
        return worked

    # --- roots -------------------------------------------------------------------------------------------------

    async def _walk_what_is_due(self, *, everything: bool) -> None:
        """Walk roots in their turn; all of them, if a server has begun to leave or is gone."""
        everything = everything or self._rehoming.is_due()
        if everything:
            self._rehoming.begin()
        for root in list(self.care.roots.values()):
            if everything or self.ctx.wall_time() - root.walked >= self._terms.rules.check_every:
                await self._walk(root)

    async def _adopt_own_roots(self) -> None:
        """The node's own root, if it has one, and the grid's."""
        wanted: dict[str, Directory] = {}
        private = await self._client.roots.own()
        if private is not None:
            wanted[OWN_ROOT] = private
        known = await self._client.roots.known()
        wanted |= {name: found for name, found in known.items() if isinstance(found, Directory)}
        for name, directory in wanted.items():
            kept = self.care.roots.get(name)
            if kept is None or kept.capability != str(directory):
                self.care.roots[name] = Root(name, str(directory), added=self.ctx.wall_time())
                await self.care.save_roots()

    async def _walk(self, root: Root) -> None:
        """Find out what a root leads to."""
        try:
            complete = await self._reach_all(root)
        except TahoeError as error:
            root.trouble = str(error)
        else:
            root.trouble = "" if complete else "some directories could not be read"
            if complete:
                root.walked = self.ctx.wall_time()
                await self._publish(root)
        await self.care.save_roots()

    async def _reach_all(self, root: Root) -> bool:
        """Reach every object; whether all directories could be read."""
        capability = parse(root.capability)
        now = self.ctx.wall_time()
        self._reach(target_of(capability), root, now)
        if root.manifest:
            for target in await read_manifest(self._client.slots, capability):
                self._reach(target, root, now)
            return True
        if not isinstance(capability, Directory) or capability == capability.verifier():
            await self._rehoming.see(capability)
            return True
        walk = CareWalk(self.care, root, now)
        async for visit in Walk(self._client.directories, capability):
            await self._rehoming.see(visit.capability)
            walk.see(visit)
        return walk.end()

    async def _publish(self, root: Root) -> None:
        """Write the manifest of a root for other caretakers, where somebody wants one, and look after its slot, too."""
        if root.published:
            slot = self._manifest_slot(root)
            await self._rehoming.see(slot)
            await write_manifest(self._client.slots, slot, self._listed(root))
            self._reach(slot.verifier(), root, self.ctx.wall_time())

    def _listed(self, root: Root) -> list[Target]:
        """What a manifest of a root lists: all that it leads to, and not the manifest itself."""
        own = self._manifest_slot(root).verifier() if root.published else None
        return [each.target for each in self.care.of_root(root.name) if each.target != own]

    @staticmethod
    def _manifest_slot(root: Root) -> SlotWrite:
        slot = parse(root.published)
        assert isinstance(slot, SlotWrite), "manifests are published in slots"
        return slot

    def _reach(self, target: Target | None, root: Root, now: float) -> None:
        if target is not None:
            self.care.reach(target, root.name, now)

    # --- telling -----------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Tell whoever wants to hear, when things have changed."""
        self._told = self.ctx.now()
        report = self.report()
        if report.state.value != self._state:
            self._state = report.state.value
            self.on_change(report)


def verify_only(capability: Capability) -> str:
    """The verify cap of one object, for a caretaker that holds nothing else.

    Raises:
        BadCapability: it is a directory's, and what is in it would be looked after by nobody.
    """
    if isinstance(capability, Directory):
        raise BadCapability(
            "this node holds verify capabilities only, and a directory's does not tell what is in it: let its owner keep a "
            "manifest (tahoe care publish), and add that with --manifest"
        )
    return str(capability.verifier())
