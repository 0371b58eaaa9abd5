"""Every message that nodes exchange, typed, and the few names they are made of.

A request names its answer: ``class Allocate(Request[Allocated])`` lets the type checker know what an
ask returns. A request also says how it may be repeated, because the network below loses and doubles
packets and retransmission is the only reliability there is:

* ``repeatable``: run again for every copy that arrives (reads);
* otherwise *cached*: executed once per ticket, the answer kept until the asker says it may be forgotten.

Either way every handler is idempotent, because an ask that ended ``Unanswered`` may be asked anew.

On the wire a message is a msgpack array ``[tag, field, ...]``. Tags never change meaning; a message
grows by appending fields with defaults, which old readers ignore and new readers fill in. The golden
bytes in ``tests/session/golden.json`` hold us to that.

Bulk fields (``data``) hold ``bytes`` on the grid. In the simulator's phantom fidelity they hold an
object with the same ``len()``, which stands for content that nobody needs to look at.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, NamedTuple, NewType, TypeVar

import msgspec

PROTOCOL_VERSIONS = (1, 1)
"""Lowest and highest protocol version this code speaks."""

NodeId = NewType("NodeId", str)
"""``v0-`` and the base32 of a node's 32-byte Ed25519 public key."""

Role = NewType("Role", str)
"""What an actor in a node does; part of an address."""

MEMBER = Role("member")
"""In every node: joins the introducers and keeps the roster. Not a role that is configured or announced."""
INTRODUCER = Role("introducer")
STORAGE = Role("storage")
VDRIVE = Role("vdrive")
CLIENT = Role("client")
CARETAKER = Role("caretaker")
HISTORIAN = Role("historian")
"""In every client: remembers what servers are like. Not a role that is configured or announced."""
DRAINER = Role("drainer")
"""In every storage server: empties it when it is about to leave. Not a role that is configured or announced."""
ROLES = (INTRODUCER, STORAGE, VDRIVE, CLIENT, CARETAKER)

DEFAULT_MESSAGE_BYTES = 512 * 1024
"""Largest packet by default; brokers commonly refuse more than 1 MiB."""

ROOM_FOR_FACTS = 4096
"""Bytes allowed for in an answer that carries no bulk data."""


class Address(NamedTuple):
    """Where a message goes: one actor in one node."""

    node: NodeId
    role: Role


class Message(msgspec.Struct, frozen=True, array_like=True):
    """Anything that is sent from node to node."""


class Answer(Message, frozen=True):
    """What a request comes back with."""


R = TypeVar("R", bound=Answer)


class Request(Message, Generic[R], frozen=True):
    """Something asked of another actor, which answers with an ``R`` or refuses."""

    repeatable: ClassVar[bool] = False

    def answer_room(self) -> int:
        """Most bytes the answer may take; asking grants the other side this much credit."""
        return ROOM_FOR_FACTS


# --- facts shared by several messages ---------------------------------------------------------------


class Announcement(msgspec.Struct, frozen=True, array_like=True):
    """What a node says of itself, signed by its key (``session/statement.py``).

    ``epoch`` is the node's boot number and ``sequence`` counts its announcements within the epoch;
    newer is greater as a pair. ``location`` is ``site/rack/host``. Sizes are bytes.
    """

    node: NodeId
    exchange_key: bytes
    roles: tuple[Role, ...]
    nickname: str
    location: str
    capacity: int
    available: int
    protocol_versions: tuple[int, int]
    software: str
    epoch: int
    sequence: int
    certificate: bytes = b""
    leaving: bool = False

    @property
    def age(self) -> tuple[int, int]:
        """Greater is newer."""
        return (self.epoch, self.sequence)


class Encoding(msgspec.Struct, frozen=True, array_like=True):
    """Encoding parameters of a grid: any ``needed`` of ``total`` shares, spread over ``happy`` servers."""

    needed: int = 3
    happy: int = 7
    total: int = 10

    def __str__(self) -> str:
        return f"{self.needed}/{self.happy}/{self.total}"


class Lease(msgspec.Struct, frozen=True, array_like=True):
    """The two 32-byte secrets of a lease, derived per server (``codec/keys.py``)."""

    renew_secret: bytes
    cancel_secret: bytes


class ShareFacts(msgspec.Struct, frozen=True, array_like=True):
    """One complete share that a server holds. ``size`` is the share's bytes without container.

    ``ueb_hash`` lets a client tell a share of its file from junk at the same storage index; it is
    empty when the stored bytes have no readable UEB, which makes them nobody's share.
    """

    number: int
    size: int
    ueb_hash: bytes


class Space(msgspec.Struct, frozen=True, array_like=True):
    """Room on a server, in bytes. ``accepts`` is the largest share it would take now; 0 = read-only or full."""

    capacity: int
    available: int
    accepts: int
    shares: int = 0


# --- introducer ---------------------------------------------------------------------------------------


class Roster(Answer, frozen=True, tag="roster"):
    """Signed announcements and grid statements that are new since the version asked about.

    ``version`` is the introducer's boot number and a count of its changes. What does not fit one
    message follows in ``RosterChanged``.
    """

    announcements: tuple[bytes, ...]
    statements: tuple[bytes, ...]
    version: tuple[int, int] = (0, 0)


class Join(Request[Roster], frozen=True, tag="join"):
    """Publish one's announcement and subscribe to everybody's. Sent anew now and then; idempotent.

    ``statements`` carries grid statements that this node knows, so that a new introducer learns them;
    ``since`` is the version of this introducer's roster that the node has already.
    """

    announcement: bytes
    statements: tuple[bytes, ...] = ()
    since: tuple[int, int] = (0, 0)

    def answer_room(self) -> int:
        """A roster may be long."""
        return DEFAULT_MESSAGE_BYTES


class RosterChanged(Message, frozen=True, tag="roster-changed"):
    """Told to subscribers: announcements and statements that are new since they last heard."""

    announcements: tuple[bytes, ...]
    statements: tuple[bytes, ...] = ()


# --- storage: questions ---------------------------------------------------------------------------------


class Held(msgspec.Struct, frozen=True, array_like=True):
    """The complete shares that a server holds of one storage index."""

    storage_index: bytes
    shares: tuple[ShareFacts, ...]


class SlotShareFacts(msgspec.Struct, frozen=True, array_like=True):
    """One share of a slot that a server holds, and the version that it says the share carries."""

    number: int
    sequence: int
    root_hash: bytes


class HeldSlot(msgspec.Struct, frozen=True, array_like=True):
    """The shares that a server holds of one slot. What is damaged is left out."""

    storage_index: bytes
    shares: tuple[SlotShareFacts, ...]


class SharesHeld(Answer, frozen=True, tag="shares-held"):
    """Answer to ``HaveShares``: only indexes of which there is a share, and the room left; slots where asked for."""

    held: tuple[Held, ...]
    space: Space
    slots: tuple[HeldSlot, ...] = ()


class HaveShares(Request[SharesHeld], frozen=True, tag="have-shares"):
    """Which shares of these storage indexes have you, and how much room?

    ``slots``: say of slots, too, which versions their shares carry. Versions are as the server tells them: who needs
    proof reads.
    """

    repeatable: ClassVar[bool] = True

    storage_indexes: tuple[bytes, ...]
    slots: bool = False

    def answer_room(self) -> int:
        """Room for about ten shares of every index."""
        return ROOM_FOR_FACTS + 1024 * len(self.storage_indexes)


# --- storage: reading -----------------------------------------------------------------------------------


class HashNode(msgspec.Struct, frozen=True, array_like=True):
    """One node of a Merkle tree: breadth-first number and 32-byte hash."""

    number: int
    digest: bytes


class BlockRead(msgspec.Struct, frozen=True, array_like=True):
    """One block with its proof.

    That is the siblings of its leaf in the share's block tree, and of the ciphertext tree the segment's leaf and its
    siblings, each from the leaf up.

    ``data`` is shorter than the block where the answer had no room for all of it; the rest is fetched
    with ``ReadShare``.
    """

    segment: int
    data: bytes
    block_path: tuple[HashNode, ...]
    ciphertext_path: tuple[HashNode, ...]


class ShareRead(msgspec.Struct, frozen=True, array_like=True):
    """What a server has to say of one share: enough to prove every block against the capability."""

    number: int
    size: int
    uri_extension: bytes
    share_hashes: tuple[HashNode, ...]
    data_offset: int
    blocks: tuple[BlockRead, ...]


class SharesRead(Answer, frozen=True, tag="shares-read"):
    """Answer to ``ReadShares``: facts of all complete shares, contents of those that fitted."""

    held: tuple[ShareFacts, ...]
    shares: tuple[ShareRead, ...]


class ReadShares(Request[SharesRead], frozen=True, tag="read-shares"):
    """Which shares have you, and give me the blocks that cover this part of the file, with their proofs.

    ``offset`` and ``length`` are bytes *of the file*: the server knows the segment size from the share's
    UEB, so even the first question of a download brings back blocks. ``numbers`` restricts the shares
    (empty: any, best first as the server likes); at most ``most`` shares are read. ``room`` bounds the
    bytes of block data in the answer; blocks come in segment order, whole where they fit.
    ``proven`` is true when the asker already has the UEB and share hashes, which then stay out.
    """

    repeatable: ClassVar[bool] = True

    storage_index: bytes
    offset: int
    length: int
    room: int
    most: int = 1
    numbers: tuple[int, ...] = ()
    proven: bool = False

    def answer_room(self) -> int:
        """Block data and its proofs."""
        return self.room + 4 * ROOM_FOR_FACTS


class ShareBytes(Answer, frozen=True, tag="share-bytes"):
    """Raw bytes of a share; shorter than asked where the share ends."""

    data: bytes


class ReadShare(Request[ShareBytes], frozen=True, tag="read-share"):
    """Raw bytes of one share (container excluded), for verifying and for what ``ReadShares`` cut short."""

    repeatable: ClassVar[bool] = True

    storage_index: bytes
    number: int
    offset: int
    length: int

    def answer_room(self) -> int:
        """The bytes asked for."""
        return self.length + ROOM_FOR_FACTS


# --- storage: writing -----------------------------------------------------------------------------------


class ShareToStore(msgspec.Struct, frozen=True, array_like=True):
    """One whole small share."""

    number: int
    data: bytes


class Stored(Answer, frozen=True, tag="stored"):
    """Answer to ``StoreShares``: numbers stored durably now, and shares that were there before."""

    stored: tuple[int, ...]
    present: tuple[ShareFacts, ...]


class StoreShares(Request[Stored], frozen=True, tag="store-shares"):
    """Lease, allocate, write and close in one, for shares that fit a message. Durable when answered."""

    storage_index: bytes
    upload_secret: bytes
    lease: Lease
    shares: tuple[ShareToStore, ...]


class Allocated(Answer, frozen=True, tag="allocated"):
    """Answer to ``Allocate``: numbers that may be written now, and complete shares found (their leases renewed)."""

    allocated: tuple[int, ...]
    present: tuple[ShareFacts, ...]


class Allocate(Request[Allocated], frozen=True, tag="allocate"):
    """Reserve room for shares of ``size`` bytes each. The upload secret keeps others' hands off them."""

    storage_index: bytes
    upload_secret: bytes
    lease: Lease
    numbers: tuple[int, ...]
    size: int


class Written(Answer, frozen=True, tag="written"):
    """The bytes are in the server's hands (durable only after ``Close``)."""


class Write(Request[Written], frozen=True, tag="write"):
    """Bytes of a share being uploaded. Bytes written twice must be the same."""

    repeatable: ClassVar[bool] = True

    storage_index: bytes
    upload_secret: bytes
    number: int
    offset: int
    data: bytes


class Closed(Answer, frozen=True, tag="closed"):
    """These shares are whole, durable and visible (by this upload or by an earlier one)."""

    closed: tuple[int, ...]


class Close(Request[Closed], frozen=True, tag="close"):
    """Make uploads of these share numbers complete: whole or not at all, durable when answered."""

    storage_index: bytes
    upload_secret: bytes
    numbers: tuple[int, ...]


class Aborted(Answer, frozen=True, tag="aborted"):
    """The uploads are gone and their room is free."""


class Abort(Request[Aborted], frozen=True, tag="abort"):
    """Forget uploads that bear this secret. Complete shares stay."""

    storage_index: bytes
    upload_secret: bytes
    numbers: tuple[int, ...]


# --- slots ----------------------------------------------------------------------------------------------


class VersionName(msgspec.Struct, frozen=True, array_like=True):
    """Which version of a slot: sequence number and root hash."""

    sequence: int
    root_hash: bytes


class SignedVersion(msgspec.Struct, frozen=True, array_like=True):
    """A signed version of a slot, and what proves that it belongs to its storage index (``codec/slot.py``)."""

    version: bytes
    signature: bytes
    public_key: bytes
    read_key_hash: bytes


class SlotBlock(msgspec.Struct, frozen=True, array_like=True):
    """One block of a slot's share: salt, data, and the siblings of its leaf from the bottom up (none when written)."""

    segment: int
    salt: bytes
    data: bytes
    path: tuple[bytes, ...] = ()


class SlotShareRead(msgspec.Struct, frozen=True, array_like=True):
    """What a server has of one share of a slot.

    ``root`` is the root of the share's block tree and ``chain`` the siblings that lead from it to the signed root
    hash. ``edge`` proves the right edge of the block tree, which whoever appends a segment needs: the last leaf and its
    siblings from the bottom up; only where asked for.
    """

    number: int
    signed: SignedVersion
    root: bytes
    chain: tuple[bytes, ...]
    blocks: tuple[SlotBlock, ...]
    edge: tuple[bytes, ...] = ()


class SlotRead(Answer, frozen=True, tag="slot-read"):
    """Answer to ``ReadSlot``: every share that the server has of it."""

    shares: tuple[SlotShareRead, ...]


class ReadSlot(Request[SlotRead], frozen=True, tag="read-slot"):
    """Which version of this slot have you, and give me the blocks that cover this part of its contents.

    ``offset`` and ``length`` are bytes of the contents; ``room`` bounds the block data in the answer, over all
    shares; blocks come whole or not at all. ``known`` is the version the asker has already: of a share that still
    carries it no block is sent. ``edge`` asks for the right edge of the block tree.
    """

    repeatable: ClassVar[bool] = True

    storage_index: bytes
    offset: int
    length: int
    room: int
    known: VersionName | None = None
    edge: bool = False

    def answer_room(self) -> int:
        """Block data, and what proves it."""
        return self.room + 8 * ROOM_FOR_FACTS


class SlotShareToWrite(msgspec.Struct, frozen=True, array_like=True):
    """The change of one share: what it replaces, the new chain, and the segments that differ.

    ``replaces`` is the exact version the share must carry now; None: there must be no share yet, and ``blocks`` has
    all segments. Segments beyond the new length are cut off.
    """

    number: int
    replaces: VersionName | None
    chain: tuple[bytes, ...]
    blocks: tuple[SlotBlock, ...]


class SlotOutcome(msgspec.Struct, frozen=True, array_like=True):
    """What became of one share: ``written``, ``present`` (it carried the offered version already) or ``conflict``.

    ``signed`` is the version that the share carries now; None where there is no share.
    """

    number: int
    outcome: str
    signed: SignedVersion | None


class SlotWritten(Answer, frozen=True, tag="slot-written"):
    """Answer to ``WriteSlot``: one outcome per share of the request, in its order."""

    outcomes: tuple[SlotOutcome, ...]


class WriteSlot(Request[SlotWritten], frozen=True, tag="write-slot"):
    """Put a signed version into shares, each only on top of exactly the version it replaces. Durable when answered.

    The server checks everything before it commits: that the storage index belongs to the key, the signature, that the
    sequence number rises, and that the changed blocks, the block tree and the chain lead to the signed root hash.
    """

    storage_index: bytes
    lease: Lease
    signed: SignedVersion
    shares: tuple[SlotShareToWrite, ...]


class SlotStaged(Answer, frozen=True, tag="slot-staged"):
    """Answer to ``StageSlot``: how many segments of the share are set aside now."""

    segments: int


class StageSlot(Request[SlotStaged], frozen=True, tag="stage-slot"):
    """Set segments of a share aside that is larger than a message: ``WriteSlot`` of this version then takes them along.

    They wait for the same sender's ``WriteSlot`` with the same share number, which brings the rest, or nothing more. If the
    server starts again, or nothing comes for an hour, they are gone.
    """

    storage_index: bytes
    lease: Lease
    signed: SignedVersion
    number: int
    blocks: tuple[SlotBlock, ...]


# --- vdrive ---------------------------------------------------------------------------------------------


class RootsKnown(Answer, frozen=True, tag="roots-known"):
    """Answer to ``ShareRoots``: the newest statement about each named root that a vdrive knows, retractions included."""

    statements: tuple[bytes, ...]


class ShareRoots(Request[RootsKnown], frozen=True, tag="share-roots"):
    """Which named roots are there? ``statements`` are those that the asker knows; the vdrive keeps what is newer."""

    statements: tuple[bytes, ...] = ()

    def answer_room(self) -> int:
        """A grid may have many roots."""
        return DEFAULT_MESSAGE_BYTES // 2


class PathResolved(Answer, frozen=True, tag="path-resolved"):
    """Answer to ``ResolvePath``: the capability at its end, with the power that the root gives over it."""

    capability: str


class ResolvePath(Request[PathResolved], frozen=True, tag="resolve-path"):
    """What does a path below a named root lead to?"""

    repeatable: ClassVar[bool] = True

    root: str
    path: tuple[str, ...]

    def answer_room(self) -> int:
        """A literal capability may hold a small file."""
        return ROOM_FOR_FACTS


# --- storage: leases and advice ---------------------------------------------------------------------------


class LeaseWanted(msgspec.Struct, frozen=True, array_like=True):
    """A lease on all shares of one storage index."""

    storage_index: bytes
    lease: Lease


class LeasesAdded(Answer, frozen=True, tag="leases-added"):
    """What became of ``AddLeases``.

    ``storage_indexes`` are those of which there are shares, and they are leased now (and back from the trash, if they
    were there). ``refused`` are those of which there are shares, but a lease would have been new to an account that is
    ``over_quota`` bytes beyond what it may keep here. Renewals are never refused. ``seconds`` is how long leases last:
    this server judges by a time of its own, so nothing else is said of when they end.
    """

    storage_indexes: tuple[bytes, ...]
    refused: tuple[bytes, ...] = ()
    over_quota: int = 0
    seconds: int = 0


class AddLeases(Request[LeasesAdded], frozen=True, tag="add-leases"):
    """Add or renew leases on everything held of these indexes, shares of files and of slots.

    ``delegation`` (``session/delegation.py``) names the account on whose behalf; empty: the sender's own. ``time`` is
    what the sender's clock says, in seconds since the epoch; 0: nothing. Servers tell the time by many of those.
    """

    leases: tuple[LeaseWanted, ...]
    delegation: bytes = b""
    time: int = 0

    def answer_room(self) -> int:
        """Every index may be named."""
        return ROOM_FOR_FACTS + 32 * len(self.leases)


class LeasesCancelled(Answer, frozen=True, tag="leases-cancelled"):
    """How many leases were removed."""

    count: int


class CancelLeases(Request[LeasesCancelled], frozen=True, tag="cancel-leases"):
    """Remove leases by their cancel secrets: whoever made a lease can cancel it, and nobody else.

    A share that loses its last lease is not removed, but may be when room is needed.
    """

    leases: tuple[LeaseWanted, ...]


class AccountUsage(msgspec.Struct, frozen=True, array_like=True):
    """What one account keeps on a server.

    Sizes are bytes of containers on which it has a lease, which may be others' as well. ``quota`` is the most it may
    have; -1: no limit. An account is a node id or a member's name; accounts that share the common pool are ``pooled``:
    their quota is that of the pool, of which ``pool_bytes`` are taken.
    """

    account: str
    bytes: int
    shares: int
    quota: int = -1
    pooled: bool = False
    pool_bytes: int = 0


class UsageTold(Answer, frozen=True, tag="usage-told"):
    """Answer to ``UsageOf``: the accounts asked about, and the room on the server."""

    accounts: tuple[AccountUsage, ...]
    space: Space


class UsageOf(Request[UsageTold], frozen=True, tag="usage-of"):
    """How much does my account keep on you (with a delegation: the account on whose behalf I act), and how much may it?

    ``everybody``: all accounts; answered to the server's own node only.
    """

    repeatable: ClassVar[bool] = True

    delegation: bytes = b""
    everybody: bool = False

    def answer_room(self) -> int:
        """A server may have many accounts."""
        return DEFAULT_MESSAGE_BYTES // 2 if self.everybody else ROOM_FOR_FACTS


class Replaced(Answer, frozen=True, tag="replaced"):
    """Answer to ``ReplaceShare``: whether the share was replaced; if not, the server finds its own copy sound."""

    replaced: bool


class ReplaceShare(Request[Replaced], frozen=True, tag="replace-share"):
    """A sound share that fits a message, in place of one that the server itself finds corrupt."""

    storage_index: bytes
    number: int
    data: bytes


class Noted(Answer, frozen=True, tag="noted"):
    """Advice was taken: ``found_corrupt`` tells whether the server's own check agrees."""

    found_corrupt: bool


class AdviseCorrupt(Request[Noted], frozen=True, tag="advise-corrupt"):
    """A reader found this share corrupt; the server checks it and keeps the advice for its operator."""

    storage_index: bytes
    number: int
    reason: str


# --- what may be sent -----------------------------------------------------------------------------------


class Refusal(Answer, frozen=True, tag="refusal"):
    """The other side says it did not do it (``errors.Refused`` on the wire)."""

    code: str
    reason: str


def message_types() -> tuple[type[Message], ...]:
    """All concrete message types, in the order of their definition."""
    found: list[type[Message]] = []

    def walk(kind: type[Message]) -> None:
        for child in kind.__subclasses__():
            if child.__struct_config__.tag is not None:
                found.append(child)
            walk(child)

    walk(Message)
    return tuple(found)


AnyRequest = Request[Any]
