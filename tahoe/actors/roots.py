"""Named roots: directories that the grid's owner has published, each in a statement signed by the grid key.

Whoever brings a statement does not matter: what the grid key signed counts, of two about one name the one with the higher
sequence number, for ever, and a retraction is a statement, too. So nobody else can make a root, replace one, or bring
one back. Every client keeps the newest it has seen and needs no vdrive to go on; vdrives keep them for those who
come anew, and introducers pass on what they are told.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tahoe.actors.directories import Directories
from tahoe.actors.membership import Membership
from tahoe.actors.slots import Turns
from tahoe.codec.capability import Capability, Directory, parse
from tahoe.context import AskEach, Context, Errand
from tahoe.errors import BadConfiguration, BadMessage, NoSuchRoot, Refused, Unanswered
from tahoe.protocol import VDRIVE, Address, NodeId, RootsKnown, ShareRoots
from tahoe.session.identity import GridKey
from tahoe.session.statement import GridStatement, open_statement, sign_statement

ROOT_PREFIX = "root:"
"""What the names of statements about roots begin with."""

GLOBAL_ROOT = "global"
"""The root that every holder of the grid card may write to."""

STATE_NAME = "roots"
PRIVATE_STATE = "root.cap"
MOST_ROOTS = 1000
LONGEST_STATEMENT = 4096

ASK_TIMEOUT = 5.0


def publish_root(grid_key: GridKey, name: str, sequence: int, capability: Capability | None) -> bytes:
    """The signed statement that makes, replaces or (without a capability) retracts a named root.

    Args:
        grid_key: of the grid.
        name: of the root.
        sequence: higher than that of any statement about the name before.
        capability: of a directory; who reads the statement has all the power that it gives.
    """
    value = b"" if capability is None else str(capability).encode()
    return sign_statement(grid_key, GridStatement(ROOT_PREFIX + name, sequence, value, retracted=capability is None))


class RootBook:
    """The newest statement about each root, durable.

    Args:
        ctx: of the actor that keeps it.
        grid_public_key: whose statements count.
    """

    def __init__(self, ctx: Context, grid_public_key: bytes) -> None:
        self._ctx = ctx
        self._grid_public_key = grid_public_key
        self._newest: dict[str, tuple[GridStatement, bytes]] = {}
        self._loaded = False
        self._unsaved = False

    async def load(self) -> None:
        """Read what was known before this incarnation."""
        if not self._loaded:
            stored = await self._ctx.state.get(STATE_NAME)
            self._take(() if stored is None else msgspec.msgpack.decode(stored, type=tuple[bytes, ...]))
            self._loaded = True

    async def learn(self, statements: Iterable[bytes]) -> bool:
        """Take what is authentic, about a root, and newer; durable on return. Returns whether there was any."""
        await self.load()
        self._unsaved = self._take(statements) or self._unsaved
        news = self._unsaved
        if news:
            await self._ctx.state.put(STATE_NAME, msgspec.msgpack.encode(self.statements()))
            self._unsaved = False
        return news

    def _take(self, statements: Iterable[bytes]) -> bool:
        news = False
        for signed in statements:
            statement = self._opened(signed)
            if statement is not None and self._is_newer(statement):
                self._newest[statement.name] = statement, bytes(signed)
                news = True
        return news

    def _opened(self, signed: bytes) -> GridStatement | None:
        if len(signed) > LONGEST_STATEMENT:
            return None
        try:
            statement = open_statement(self._grid_public_key, signed)
        except BadMessage:
            return None
        return statement if statement.name.startswith(ROOT_PREFIX) else None

    def _is_newer(self, statement: GridStatement) -> bool:
        known = self._newest.get(statement.name)
        if known is None:
            return len(self._newest) < MOST_ROOTS
        return statement.sequence > known[0].sequence

    def statements(self) -> tuple[bytes, ...]:
        """All that are known, as they were signed."""
        return tuple(signed for _, signed in self._newest.values())

    def sequence(self, name: str) -> int:
        """The sequence number of the newest statement about a root; 0 if there is none."""
        known = self._newest.get(ROOT_PREFIX + name)
        return 0 if known is None else known[0].sequence

    def roots(self) -> dict[str, Capability]:
        """The roots there are, by name, sorted."""
        return {
            name.removeprefix(ROOT_PREFIX): parse(statement.value.decode("utf-8", "replace"))
            for name, (statement, _) in sorted(self._newest.items())
            if not statement.retracted
        }


class Roots:
    """The roots as a client knows them, and the private one that it makes for itself.

    Args:
        ctx: of the client.
        membership: of the same node: who the vdrives are, and what introducers have told.
        directories: of the client.
    """

    def __init__(self, ctx: Context, membership: Membership, directories: Directories) -> None:
        self._ctx = ctx
        self._membership = membership
        self._directories = directories
        self._turns = Turns(ctx)
        self.book = RootBook(ctx, membership.ledger.grid_public_key)

    async def known(self) -> dict[str, Capability]:
        """The roots that are known here, without asking anybody."""
        await self.book.learn(signed for _, signed in self._membership.ledger.statements.values())
        return self.book.roots()

    async def find(self, name: str) -> Directory:
        """A root's directory. Vdrives are asked only if it is not known here.

        Raises:
            NoSuchRoot: nobody knows it, or it was retracted.
        """
        found = (await self.known()).get(name)
        if found is None:
            await self.refresh()
            found = self.book.roots().get(name)
        if not isinstance(found, Directory):
            raise NoSuchRoot(name)
        return found

    async def private(self) -> Directory:
        """This client's own root, made on first use.

        Raises:
            NotEnoughServers: it could not be made.
            BadConfiguration: what is kept as its capability is none of a directory.
        """
        async with self._turns.of(PRIVATE_STATE.encode()):
            stored = await self._ctx.state.get(PRIVATE_STATE)
            if stored is None:
                root = await self._directories.create()
                await self._ctx.state.put(PRIVATE_STATE, f"{root}\n".encode())
                return root
        root_again = parse(stored.decode("utf-8", "replace").strip())
        if not isinstance(root_again, Directory):
            raise BadConfiguration(f"{PRIVATE_STATE} of the client has no directory's capability in it")
        return root_again

    async def own(self) -> Directory | None:
        """This client's own root, if it has made one."""
        return None if await self._ctx.state.get(PRIVATE_STATE) is None else await self.private()

    async def refresh(self) -> tuple[NodeId, ...]:
        """Tell all vdrives what is known here, and hear what they know.

        Returns:
            Those that answered.
        """
        await self.known()
        vdrives = vdrives_of(self._membership, self._ctx.name)
        answered, heard = await exchange(self._ctx, vdrives, self.book.statements())
        await self.book.learn(heard)
        return answered

    async def publish(self, signed: bytes) -> tuple[NodeId, ...]:
        """Spread a statement of the grid key: to all vdrives, and through introducers to everybody else.

        Returns:
            The vdrives that have it, durably.

        Raises:
            BadMessage: it is no statement of this grid's key.
        """
        open_statement(self._membership.ledger.grid_public_key, signed)
        await self._membership.ledger.learn((), (signed,))
        return await self.refresh()


def vdrives_of(membership: Membership, but: NodeId) -> list[Address]:
    """All vdrives known, without one node's own."""
    found = (each.node for each in membership.announcements() if VDRIVE in each.roles)
    return [Address(node, VDRIVE) for node in found if node != but]


async def exchange(
    ctx: Context, vdrives: Iterable[Address], statements: tuple[bytes, ...]
) -> tuple[tuple[NodeId, ...], list[bytes]]:
    """Share statements with vdrives. Returns who answered, and what they know."""
    answered: list[NodeId] = []
    heard: list[bytes] = []
    errands = (Errand(address.node, address, ShareRoots(statements)) for address in vdrives)
    async with AskEach[NodeId, RootsKnown](ctx, errands, timeout=ASK_TIMEOUT) as outcomes:
        async for node, outcome in outcomes:
            if not isinstance(outcome, (Refused, Unanswered)):
                answered.append(node)
                heard.extend(outcome.statements)
    return tuple(answered), heard
