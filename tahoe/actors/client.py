"""The client: stores and fetches files on behalf of one node's people and programs.

It only brings together what the stories need: who is in the grid (the node's membership), on what terms
files are stored, and what all downloads of the node share. The stories themselves are ``upload`` and
``Download``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tahoe.actors.directories import Directories, Files
from tahoe.actors.download import Download, ReadingRoom, Span
from tahoe.actors.keeper import Keeper
from tahoe.actors.keeping import KeepingDesk, KeepingTerms
from tahoe.actors.membership import Membership
from tahoe.actors.roots import Roots
from tahoe.actors.slots import SlotDesk, SlotMemory, Slots, SlotTerms
from tahoe.actors.slotterms import tearproof
from tahoe.actors.terms import Limits, Patience, UploadOrder, ignore_progress
from tahoe.actors.upload import BytesSource, Source, UploadResult, upload
from tahoe.codec.capability import ImmutableRead, Literal
from tahoe.context import Actor, Context
from tahoe.policy.domains import SpreadOverDomains
from tahoe.policy.placement import SPREAD, PlacementPolicy
from tahoe.protocol import CLIENT, Encoding


@dataclass(frozen=True, slots=True)
class ClientTerms:
    """How this client goes about its work.

    Args:
        lease_master: the node's lease master secret.
        limits: memory and messages of an upload.
        patience: time an upload gives its servers.
        policy: where shares go, as far as failure domains leave a choice.
        room: what all downloads share.
        slots: k, N and the like of new slots; None: those of the grid's files.
    """

    lease_master: bytes = field(repr=False)
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    policy: PlacementPolicy = SPREAD
    room: ReadingRoom = field(default_factory=ReadingRoom)
    slots: SlotTerms | None = None


class Client(Actor):
    """Uploads and downloads.

    Args:
        ctx: of this actor.
        membership: of the same node.
        terms: how to go about it.

    Attributes:
        slots: makes, reads and changes mutable files.
        directories: lists and edits directories.
        roots: the grid's named ones, and this client's own.
        keeping: what stories of keeping files work with.
        keeper: checks, verifies and repairs.
    """

    role = CLIENT

    def __init__(self, ctx: Context, membership: Membership, terms: ClientTerms) -> None:
        super().__init__(ctx)
        self.membership = membership
        self.terms = terms
        self.slots = Slots(SlotDesk(ctx, membership.servers, terms.lease_master, self._slot_terms, SlotMemory(ctx)))
        self.directories = Directories(ctx, self.slots, Files(self.read_whole, self.store_whole))
        self.roots = Roots(ctx, membership, self.directories)
        self.keeping = KeepingDesk(ctx, membership.servers, self._keeping_terms)
        self.keeper = Keeper(self.keeping)

    def _keeping_terms(self) -> KeepingTerms:
        """Those of this client's transfers, as they are now."""
        return KeepingTerms(self.terms.lease_master, self.terms.limits, self.terms.room)

    def _slot_terms(self) -> SlotTerms:
        """Those configured, or the grid's; with messages as large as the network takes them now."""
        message = self.terms.limits.message
        if self.terms.slots is not None:
            return replace(self.terms.slots, message=message)
        encoding = self.membership.encoding()
        return SlotTerms(tearproof(encoding.needed, encoding.total), encoding.total, message=message)

    async def upload(
        self,
        source: Source,
        convergence: bytes | None,
        progress: Callable[[int, int], None] = ignore_progress,
        encoding: Encoding | None = None,
    ) -> UploadResult:
        """Store a file.

        Args:
            source: the file.
            convergence: the convergence secret; None for a random key.
            progress: called with bytes done and bytes in all.
            encoding: k, happy and N; None: the grid's.

        Raises:
            NotEnoughServers: happiness was not reached; what was begun has been taken back.
            BadConfiguration: the grid's encoding parameters are out of this node's bounds.
        """
        encoding = self.membership.encoding() if encoding is None else encoding
        order = UploadOrder(
            encoding=encoding,
            convergence=convergence,
            lease_master=self.terms.lease_master,
            limits=self.terms.limits,
            patience=self.terms.patience,
            policy=SpreadOverDomains(encoding.needed, self.terms.policy),
            progress=progress,
        )
        return await upload(self.ctx, self.membership.servers(), order, source)

    async def store_whole(self, contents: bytes, convergence: bytes | None) -> ImmutableRead | Literal:
        """Store bytes in memory; see ``upload``."""
        return (await self.upload(BytesSource(contents), convergence)).capability

    async def read_whole(self, capability: ImmutableRead | Literal) -> bytes:
        """Fetch a file into memory; see ``Download``."""
        async with self.download(capability) as chunks:
            return b"".join([chunk async for chunk in chunks])

    def download(self, capability: ImmutableRead | Literal, offset: int = 0, length: int | None = None) -> Download:
        """Fetch a file or a part of it; to be used with ``async with``, see ``Download``."""
        return Download(self.ctx, self.membership.servers(), capability, Span(offset, length), self.terms.room)
