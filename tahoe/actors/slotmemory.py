"""What a client remembers of slots: the newest versions for ever, and what it has in hand of some for speed.

Two memories, since they serve two ends:

* *Newest versions*, durably: a reader who has seen a version never takes an older one, whatever servers show him, and
  knows from the first message who its homes are. They are written behind the reader's back, some slots to a file; a
  crash may lose the last of them.
* *Holdings*, in memory: what the next write builds on without asking first. Version, what every position carries, the
  edges of the block trees, the last segment, and small contents whole.

Both are bounded; what was not used longest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from tahoe.codec.slot import SlotVersion, SparseTree, VersionId
from tahoe.context import Context, Queue
from tahoe.policy.register import Position, Register, positions_of

DRAWERS = 64
"""Files that the newest versions are spread over, so that each is small to write."""
MOST_IN_DRAWER = 128
SAVING_PAUSE = 1.0
"""Seconds between two times that drawers are written: each syncs a file and a directory, as much as a server's share of a change."""
MOST_HELD_BYTES = 32 * 2**20
SMALL_CONTENTS = 64 * 1024
"""Contents up to this size are held whole."""
SMALL_TREE = 4096
"""Trees of so many leaves are held whole, of larger ones only the edges.

Without the whole trees in hand, each change in the middle of a slot one of whose homes has fallen behind reads and codes
all of its contents, since nobody else has that share's tree: seconds instead of hundredths for 100 MB.
"""


@dataclass(slots=True)
class Hearing(Register):
    """What was heard of a slot. A share that is not sound votes for its version but gives nothing.

    Attributes:
        unsound: homes and numbers of shares that have failed a check.
    """

    unsound: dict[tuple[bytes, int], str] = field(default_factory=dict)

    def holders(self, version: VersionId) -> dict[int, list[bytes]]:
        """Who has which share of a version, as far as it is sound."""
        found: dict[int, list[bytes]] = {}
        for number, homes in Register.holders(self, version).items():
            sound = [home for home in homes if (home, number) not in self.unsound]
            if sound:
                found[number] = sound
        return found

    def set(self, position: Position, version: SlotVersion | None) -> None:
        """One position carries this now; None: nothing."""
        carried = self.heard.setdefault(position.home, {})
        carried.pop(position.number, None)
        if version is not None:
            carried[position.number] = version.identity
            self.versions[version.identity] = version
            self.unsound.pop((position.home, position.number), None)

    def snapshot(self) -> Hearing:
        """What has been heard by now, whatever will be heard later."""
        heard = {home: dict(shares) for home, shares in self.heard.items()}
        return Hearing(heard, dict(self.versions), dict(self.unsound))

    def count(self, version: SlotVersion) -> int:
        """Positions known to carry a version."""
        return sum(self.carried(place) == version.identity for place in positions_of(version))

    def forget_all_but(self, version: SlotVersion) -> None:
        """Drop what is of no use to whoever builds on this version."""
        carried = {identity for shares in self.heard.values() for identity in shares.values()}
        self.versions = {
            identity: other for identity, other in self.versions.items() if identity in carried or other == version
        }


@dataclass(slots=True)
class Holding:
    """A version in hand.

    Args:
        version: that won.
        hearing: what every position carries.
        trees: of all N shares, at least their edges; empty: not known.
        tail: plaintext of the last segment; empty: not known, or there is none.
        contents: plaintext, if small; None: not known.
        mend_at: when to look after positions that have fallen behind (``ctx.now``).
        settling: gets an item when all that was under way to the version's homes has ended; None: it has.
    """

    version: SlotVersion
    hearing: Hearing
    trees: tuple[SparseTree, ...]
    tail: bytes
    contents: bytes | None
    mend_at: float = 0.0
    settling: Queue[None] | None = None

    @property
    def weight(self) -> int:
        """Bytes that it takes, roughly."""
        nodes = sum(tree.weight for tree in self.trees)
        return 8192 + 150 * nodes + len(self.tail) + len(self.contents or b"")


class _Seen(msgspec.Struct, frozen=True, array_like=True):
    storage_index: bytes
    version: bytes


_drawer_decoder = msgspec.msgpack.Decoder(list[_Seen])


class SlotMemory:
    """Both memories of one client.

    Args:
        ctx: of the client.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._drawers: dict[int, OrderedDict[bytes, SlotVersion]] = {}
        self._unsaved: dict[int, None] = {}
        self._saving = False
        self._holdings: OrderedDict[bytes, tuple[Holding, int]] = OrderedDict()
        self._held_bytes = 0

    # --- newest versions ------------------------------------------------------------------------------------

    async def newest(self, storage_index: bytes) -> SlotVersion | None:
        """The newest version seen of a slot, in this life or an earlier one."""
        return (await self._drawer(storage_index)).get(storage_index)

    async def note(self, storage_index: bytes, version: SlotVersion) -> None:
        """This version was seen, and it has won."""
        drawer = await self._drawer(storage_index)
        known = drawer.get(storage_index)
        if known is not None and known.identity >= version.identity:
            drawer.move_to_end(storage_index)
            return
        drawer[storage_index] = version
        drawer.move_to_end(storage_index)
        if len(drawer) > MOST_IN_DRAWER:
            drawer.popitem(last=False)
        self._unsaved[_drawer_of(storage_index)] = None
        if not self._saving:
            self._saving = True
            self._ctx.spawn(self._save())

    async def _drawer(self, storage_index: bytes) -> OrderedDict[bytes, SlotVersion]:
        number = _drawer_of(storage_index)
        if number not in self._drawers:
            stored = await self._ctx.state.get(_file_of(number))
            self._drawers.setdefault(number, _unpacked(_drawer_decoder.decode(stored) if stored else ()))
        return self._drawers[number]

    async def _save(self) -> None:
        """Write what has changed, until nothing has: at once, but of what changes again and again only the last now and then."""
        try:
            while self._unsaved:
                for number in tuple(self._unsaved):
                    del self._unsaved[number]
                    seen = [_Seen(index, version.pack()) for index, version in self._drawers[number].items()]
                    await self._ctx.state.put(_file_of(number), msgspec.msgpack.encode(seen))
                await self._ctx.sleep(SAVING_PAUSE)
        finally:
            self._saving = False

    # --- holdings -------------------------------------------------------------------------------------------

    def holding(self, storage_index: bytes) -> Holding | None:
        """What is in hand of a slot."""
        found = self._holdings.get(storage_index)
        if found is None:
            return None
        self._holdings.move_to_end(storage_index)
        return found[0]

    def hold(self, storage_index: bytes, holding: Holding) -> None:
        """Keep this in hand."""
        self.drop(storage_index)
        weight = holding.weight
        self._holdings[storage_index] = holding, weight
        self._held_bytes += weight
        while self._held_bytes > MOST_HELD_BYTES and len(self._holdings) > 1:
            self.drop(next(iter(self._holdings)))

    def drop(self, storage_index: bytes) -> None:
        """What is in hand of a slot is out of date."""
        found = self._holdings.pop(storage_index, None)
        if found is not None:
            self._held_bytes -= found[1]


def _drawer_of(storage_index: bytes) -> int:
    return storage_index[0] % DRAWERS


def _file_of(drawer: int) -> str:
    return f"slots-{drawer:02d}"


def _unpacked(seen: Iterable[_Seen]) -> OrderedDict[bytes, SlotVersion]:
    return OrderedDict((each.storage_index, SlotVersion.unpack(each.version)) for each in seen)
