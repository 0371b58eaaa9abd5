"""The vdrive: keeps the grid's named roots for those who come anew, and resolves paths for those who ask only for that.

It is trusted with nothing. What it keeps is signed by the grid key, the directories themselves are in the grid's shares,
and clients go on without it with what it told them. Several may serve a grid; each copies what it is told, by
others of its kind, by introducers, and by whoever publishes.
"""

from __future__ import annotations

from tahoe.actors.directories import Directories
from tahoe.actors.membership import Membership
from tahoe.actors.roots import RootBook, exchange, vdrives_of
from tahoe.context import Actor, Context, handles
from tahoe.errors import NoSuchRoot, Refused
from tahoe.protocol import VDRIVE, NodeId, PathResolved, ResolvePath, RootsKnown, ShareRoots

FIRST_COPY_SECONDS = 1.0
COPY_SECONDS = 60.0
"""How often vdrives compare what they know: soon after a start, when they have hardly met, and then less and less often."""

LONGEST_PATH = 256


class VDrive(Actor):
    """Answers the messages about roots and paths.

    Args:
        ctx: of this actor.
        membership: of the same node.
        directories: to resolve paths with.
    """

    role = VDRIVE

    def __init__(self, ctx: Context, membership: Membership, directories: Directories) -> None:
        super().__init__(ctx)
        self.book = RootBook(ctx, membership.ledger.grid_public_key)
        self._membership = membership
        self._directories = directories

    async def start(self) -> None:
        """Read what is known, then compare it with others now and then, for ever."""
        await self.book.load()
        self.ctx.spawn(self._copy())

    @handles(ShareRoots)
    async def share_roots(self, sender: NodeId, request: ShareRoots) -> RootsKnown:
        """Keep what is newer, durably, and tell all that is known."""
        await self._learn(request.statements)
        return RootsKnown(self.book.statements())

    @handles(ResolvePath)
    async def resolve_path(self, sender: NodeId, request: ResolvePath) -> PathResolved:
        """Follow a path from a root."""
        if len(request.path) > LONGEST_PATH:
            raise Refused("bad-request", f"a path may have {LONGEST_PATH} names")
        root = self.book.roots().get(request.root)
        if root is None:
            raise NoSuchRoot(request.root)
        found = await self._directories.lookup(root, request.path)
        return PathResolved(str(found.capability))

    async def _learn(self, statements: tuple[bytes, ...]) -> None:
        """Keep statements, and let introducers pass them on."""
        if await self.book.learn(statements):
            await self._membership.ledger.learn((), self.book.statements())

    async def _copy(self) -> None:
        pause = FIRST_COPY_SECONDS
        while True:
            told = tuple(signed for _, signed in self._membership.ledger.statements.values())
            await self._learn(told)
            vdrives = vdrives_of(self._membership, self.ctx.name)
            _, heard = await exchange(self.ctx, vdrives, self.book.statements())
            await self._learn(tuple(heard))
            await self.ctx.sleep(pause * self.ctx.rng.uniform(0.8, 1.2))
            pause = min(2 * pause, COPY_SECONDS)
