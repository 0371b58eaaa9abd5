"""The placement dialogue of one upload, held with real servers.

``policy/placement.py`` decides; this asks the questions, makes the offers and takes back what came to nothing. There
are two kinds of offer: whole small shares (``store``: one message does it all), and room for large ones
(``allocate``), which ``pushing.py`` then fills.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tahoe.actors.leases import FileLeases
from tahoe.actors.servers import Server
from tahoe.actors.terms import UploadOrder
from tahoe.context import AskEach, Context, Errand, Failure, TimedOut
from tahoe.errors import Refused
from tahoe.policy.placement import Accepted, Answered, Declined, Failed, Placement
from tahoe.protocol import (
    ROOM_FOR_FACTS,
    Abort,
    AddLeases,
    Allocate,
    Allocated,
    Answer,
    CancelLeases,
    HaveShares,
    Lease,
    LeaseWanted,
    NodeId,
    Request,
    ShareFacts,
    SharesHeld,
    ShareToStore,
    Stored,
    StoreShares,
)

K = TypeVar("K")
R = TypeVar("R", bound=Answer)

SECRET_BYTES = 32


class Placing:
    """One upload's dealings with its servers.

    Args:
        ctx: of the client.
        order: what the upload is to be like.
        storage_index: of the file.
        share_size: bytes of a share.
        sites: the servers to deal with, best first.
    """

    def __init__(
        self, ctx: Context, order: UploadOrder, storage_index: bytes, share_size: int, sites: Sequence[Server]
    ) -> None:
        self.storage_index = storage_index
        self.upload_secret = ctx.rng.randbytes(SECRET_BYTES)
        self.sites = {site.node: site for site in sites}
        self.placement = Placement(order.encoding, share_size, sites, order.policy)
        self._ctx = ctx
        self._order = order
        self._share_size = share_size
        self._leases = FileLeases(order.lease_master, storage_index)
        self._offered: dict[NodeId, dict[int, None]] = {}

    # --- questions ------------------------------------------------------------------------------------------

    async def ask(self) -> None:
        """Ask everybody what they have. Who is much later than those who suffice is left out."""
        nodes = self.placement.questions()
        question = HaveShares((self.storage_index,))
        waiting = dict.fromkeys(nodes)
        errands = [self.errand(node, node, question) for node in nodes]
        async with AskEach(self._ctx, errands, timeout=self._order.patience.question) as outcomes:
            while (found := await self._next(outcomes)) is not None:
                node, outcome = found
                del waiting[node]
                self._heard(node, outcome)
        for node in waiting:
            self.placement.learn(Failed(node, "did not answer while the others did"))

    async def _next(self, outcomes: AskEach[NodeId, SharesHeld]) -> tuple[NodeId, SharesHeld | Failure] | None:
        while True:
            try:
                return await outcomes.next(self._order.patience.straggler)
            except TimedOut:
                if self.placement.promise() >= self._order.encoding.happy:
                    return None

    def _heard(self, node: NodeId, outcome: SharesHeld | Failure) -> None:
        if isinstance(outcome, SharesHeld):
            claims = [share for held in outcome.held for share in held.shares]
            self.placement.learn(Answered(node, claims, outcome.space.accepts))
        else:
            self.placement.learn(Failed(node, str(outcome)))

    # --- offers ---------------------------------------------------------------------------------------------

    async def store(self, offers: Mapping[NodeId, tuple[int, ...]], shares: Sequence[bytes]) -> int:
        """Offer whole shares. Returns the bytes of those that were taken."""
        errands = []
        for node, numbers in offers.items():
            self._note(node, numbers)
            lease = self._lease(node)
            for parcel in self._parcels(numbers):
                contents = tuple(ShareToStore(number, shares[number]) for number in parcel)
                message = StoreShares(self.storage_index, self.upload_secret, lease, contents)
                errands.append(self.errand((node, parcel), node, message))
        pushed = 0
        async with AskEach(self._ctx, errands, timeout=self._order.patience.offer) as outcomes:
            async for (node, parcel), outcome in outcomes:
                if isinstance(outcome, Stored):
                    self._taken(node, parcel, outcome.stored, outcome.present)
                    pushed += self._share_size * len(outcome.stored)
                else:
                    self._declined(node, outcome)
        return pushed

    def _parcels(self, numbers: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Cut a list of shares into lists that fit a message each."""
        fit = max(1, self._order.limits.message // (self._share_size + ROOM_FOR_FACTS))
        return [numbers[start : start + fit] for start in range(0, len(numbers), fit)]

    async def allocate(self, offers: Mapping[NodeId, tuple[int, ...]]) -> None:
        """Ask for room for shares."""
        errands = []
        for node, numbers in offers.items():
            self._note(node, numbers)
            message = Allocate(self.storage_index, self.upload_secret, self._lease(node), numbers, self._share_size)
            errands.append(self.errand((node, numbers), node, message))
        async with AskEach(self._ctx, errands, timeout=self._order.patience.offer) as outcomes:
            async for (node, numbers), outcome in outcomes:
                if isinstance(outcome, Allocated):
                    self._taken(node, numbers, outcome.allocated, outcome.present)
                else:
                    self._declined(node, outcome)

    def _note(self, node: NodeId, numbers: Iterable[int]) -> None:
        self._offered.setdefault(node, {}).update(dict.fromkeys(numbers))

    def _taken(self, node: NodeId, asked: Sequence[int], taken: Sequence[int], present: Sequence[ShareFacts]) -> None:
        """A server may take less than it was asked to; what it names beyond that is none of our business."""
        ours = [number for number in taken if number in asked]
        self.placement.learn(Accepted(node, ours, present))
        if len(ours) + sum(share.number in asked for share in present) < len(asked):
            self.placement.learn(Declined(node, "took fewer shares than it was offered"))

    def _declined(self, node: NodeId, failure: Failure) -> None:
        """Refused: it takes nothing, but what it has counts. Unanswered: nobody knows what it has."""
        kind = Declined if isinstance(failure, Refused) else Failed
        self.placement.learn(kind(node, str(failure)))

    # --- leases ---------------------------------------------------------------------------------------------

    async def renew(self) -> None:
        """Renew leases where shares were found and nothing was offered (offers renew by themselves). Best effort."""
        holders = dict.fromkeys(node for nodes in self.placement.holders().values() for node in nodes)
        now = int(self._ctx.wall_time())
        errands = [
            self.errand(node, node, AddLeases((self._lease_wanted(node),), time=now))
            for node in holders
            if node not in self._offered
        ]
        await self._ask_all(errands)

    # --- taking back ----------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Tell everybody who was offered anything to forget it, without waiting: for a story that is being stopped."""
        for errand in self._retractions():
            self._ctx.tell(errand.to, errand.request)

    async def take_back(self) -> None:
        """Have everybody who was offered anything forget it, and see to it that they heard."""
        await self._ask_all(self._retractions())

    def _retractions(self) -> list[Errand[NodeId, Any]]:
        """Uploads are aborted. Complete shares go by their lease, but only where nobody else can have come to count on them.

        Under a convergent key another upload of the same file may just have found them, and a later one will.
        """
        errands: list[Errand[NodeId, Any]] = []
        for node, numbers in self._offered.items():
            errands.append(self.errand(node, node, Abort(self.storage_index, self.upload_secret, tuple(numbers))))
            if self._order.convergence is None:
                errands.append(self.errand(node, node, CancelLeases((self._lease_wanted(node),))))
        return errands

    async def _ask_all(self, errands: Sequence[Errand[NodeId, Any]]) -> None:
        if not errands:
            return
        async with AskEach(self._ctx, errands, timeout=self._order.patience.question) as outcomes:
            async for _ in outcomes:
                pass

    # --- parts of messages ----------------------------------------------------------------------------------

    def errand(self, key: K, node: NodeId, request: Request[R]) -> Errand[K, R]:
        """An ask of one of the servers."""
        return Errand(key, self.sites[node].address, request)

    def _lease(self, node: NodeId) -> Lease:
        return self._leases.on(self.sites[node].lease_seed)

    def _lease_wanted(self, node: NodeId) -> LeaseWanted:
        return LeaseWanted(self.storage_index, self._lease(node))
