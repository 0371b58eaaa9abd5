"""The store of slots on a disk: one file per share, changed in place behind one redo log.

::

    slots/XX/SI/n           a share (slotfile.py); SI is base32, XX its first two letters
    slots/XX/SI/n.trash.t   one that went to the trash at the server's time t
    slots/log               what is decided and may not be in the files yet (redo.py)
    slots/incoming/SI.n.s   a large file that is going to be a share, or what is set aside of one (slotparts.py)

Whatever is done to shares goes through the log, which makes it whole and durable for one sync: a change in place,
bytes in proportion to what differs; a new share, without its directories being synced; the end of one. (Measured on
a disk whose sync takes 4 ms: 4 ms a change or a new slot. An undo journal takes two syncs, 8 ms; a new
file with its name and directories 11 ms.) Only a large file that has to be written anew, because it is short of room
for leases or cut up otherwise, stays out of the log: *synced, renamed, directory synced*, after a checkpoint.

Each storage index has one of a few locks, held while anything of it is read or changed. Whoever takes a lock first
sees to it that what an error left half done is done: nobody looks at less.

The head of a share in use, and its block tree, are kept in memory, so that a change needs nothing of what it keeps.
"""

from __future__ import annotations

import errno
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from threading import Lock, RLock
from typing import Final, NamedTuple

from tahoe.codec import base32
from tahoe.codec.container import UPLOAD_OWNER
from tahoe.codec.container import Lease as LeaseRecord
from tahoe.codec.hashing import HASH_SIZE
from tahoe.codec.slot import SparseTree
from tahoe.errors import CorruptShare, Refused
from tahoe.protocol import Lease
from tahoe.storage.advisories import SLOT, Advisories
from tahoe.storage.books import owner_of
from tahoe.storage.diskerrors import as_store_errors
from tahoe.storage.filesystem import File, FileSystem
from tahoe.storage.folders import Folders
from tahoe.storage.layout import indexes_in, numbers_in, prefixes_in
from tahoe.storage.leaseindex import SLOT as SLOT_KIND
from tahoe.storage.leaseindex import Entry, ShareName
from tahoe.storage.redo import FileChange, RedoLog
from tahoe.storage.room import Room
from tahoe.storage.slotcheck import check_slot_share
from tahoe.storage.slotfile import SlotContainer, parse_record
from tahoe.storage.slotleases import Leases, count_of, ends_of, facts_of, granted, with_lease, without_lease
from tahoe.storage.slotparts import PartsShelf
from tahoe.storage.slots import SlotChange, SlotHead, SlotRecord
from tahoe.storage.slottree import apply
from tahoe.storage.store import LeaseFacts, StoreOptions, Verdict, check_names, check_secrets, no_such_share
from tahoe.storage.trash import DiskTrash, Shelf

SLOTS: Final = "slots"
INCOMING: Final = "slots/incoming"
LOG: Final = "slots/log"

MOST_NODES: Final = 200_000
"""Tree nodes kept in memory, some 45 MB; a share without its tree counts as ``_HEAD_WEIGHT``."""

_HEAD_WEIGHT: Final = 16
_LOCKS: Final = 64
_PIECE: Final = 2**20
"""Bytes written at once; a new file that has more does not go through the log."""

Key = tuple[bytes, int]


@lru_cache(maxsize=1024)  # it is asked for again and again while a slot is looked at
def folder_of(storage_index: bytes) -> str:
    """The directory of a slot's shares."""
    name = base32.encode(storage_index)
    return f"{SLOTS}/{name[:2]}/{name}"


def path_of(storage_index: bytes, number: int) -> str:
    """The file of a share."""
    return f"{folder_of(storage_index)}/{number}"


@dataclass(slots=True)
class _Loaded:
    """What is in memory of a share. The tree, once it is there, leads to the signed root."""

    container: SlotContainer
    tree: SparseTree | None = None

    @property
    def weight(self) -> int:
        return _HEAD_WEIGHT + (len(self.tree.nodes) if self.tree else 0)


class _Step(NamedTuple):
    """A change of one share's file: ``size`` bytes are on the disk before, 0 if there is no file."""

    number: int
    size: int
    before: _Loaded | None
    after: SlotContainer
    change: SlotChange

    @property
    def in_place(self) -> bool:
        """Whether what is kept stays where it is."""
        return self.before is not None and self.before.container.is_laid_out_as(self.after)

    @property
    def is_large(self) -> bool:
        """Whether it would burden the log, which keeps what is written until it is in the files."""
        return (self.change.whole or not self.in_place) and self.after.end > _PIECE

    @property
    def growth(self) -> int:
        """Bytes that come."""
        return self.after.end - self.size


class DiskSlotStore:
    """Slots in a storage directory, beside its shares. Call :meth:`open` before anything else.

    Args:
        filesystem: of the storage directory.
        room: that slots take theirs from.
        options: the operator's limits.
        advisories: where reports go.
        most_nodes: of trees, to be kept in memory.
    """

    def __init__(
        self,
        filesystem: FileSystem,
        room: Room,
        options: StoreOptions,
        advisories: Advisories,
        most_nodes: int = MOST_NODES,
    ) -> None:
        self._filesystem = filesystem
        self._room = room
        self._books = room.books
        self._options = options
        self._advisories = advisories
        self._folders = Folders(filesystem)
        self._trash = DiskTrash(filesystem, self._folders, room.books, Shelf(SLOT_KIND, folder_of, self._report_file))
        self._locks = [RLock() for _ in range(_LOCKS)]
        self._log = RedoLog(filesystem, self._folders, LOG)
        self._memory = _Memory(most_nodes)
        self.parts = PartsShelf(filesystem, INCOMING, room)
        self._serial = count()
        self._unsettled: set[str] = set()  # directories with names that may not be durable, and are in no log

    # --- beginning and end ------------------------------------------------------------------------------

    def open(self) -> None:
        """Recover from however the last run ended. What a process that was killed wrote must be durable by now.

        Shares that can't be put right because the disk is read-only are not served.

        Raises:
            OSError: the disk failed.
        """
        try:
            self._recover()
        except OSError as error:
            if error.errno != errno.EROFS:
                raise

    def shut(self) -> bool:
        """End serving; tell whether everything is durable. Nothing needs it, but the next start is quicker."""
        try:
            self._log.checkpoint()
        except OSError:
            return False
        self._log.close()
        if self._unsettled:
            return False
        self._folders.settle_all()
        return True

    # --- reading ----------------------------------------------------------------------------------------

    @contextmanager
    def lock(self, storage_index: bytes) -> Iterator[None]:
        """See ``SlotStore``."""
        folder = folder_of(storage_index)
        with self._locks[storage_index[-1] % _LOCKS if storage_index else 0]:
            if self._log.owes(folder) or folder in self._unsettled:
                self._catch_up(folder)
            yield

    @as_store_errors()
    def _catch_up(self, folder: str) -> None:
        """Do what an error has left half done in a directory."""
        self._log.mend(folder)
        if folder in self._unsettled:
            self._settle(folder)

    @as_store_errors()
    def numbers(self, storage_index: bytes) -> tuple[int, ...]:
        """See ``SlotStore``."""
        check_names(storage_index, ())
        with self.lock(storage_index):
            return tuple(numbers_in(self._names(folder_of(storage_index))))

    @as_store_errors()
    def head(self, storage_index: bytes, number: int) -> SlotHead:
        """See ``SlotStore``."""
        check_names(storage_index, (number,))
        with self.lock(storage_index):
            return self._loaded((storage_index, number)).container.head

    @as_store_errors()
    def tree(self, storage_index: bytes, number: int) -> SparseTree:
        """See ``SlotStore``."""
        check_names(storage_index, (number,))
        with self.lock(storage_index):
            loaded = self._loaded((storage_index, number))
            if loaded.tree is None:
                loaded.tree = self._read_tree((storage_index, number), loaded.container)
                self._memory.keep((storage_index, number), loaded)
            return loaded.tree

    @as_store_errors()
    def read(self, storage_index: bytes, number: int, segments: Iterable[int]) -> list[SlotRecord]:
        """See ``SlotStore``."""
        check_names(storage_index, (number,))
        with self.lock(storage_index):
            container = self._loaded((storage_index, number)).container
            spans = list(map(container.span, segments))
            if not spans:
                return []
            with self._opened((storage_index, number)) as file:
                return [parse_record(file.read(*span)) for span in spans]

    def storage_indexes(self, after: bytes = b"") -> Iterator[bytes]:
        """See ``SlotStore``."""
        with as_store_errors():
            yield from self._storage_indexes(after)

    @as_store_errors()
    def scrub(self, storage_index: bytes, number: int) -> Verdict:
        """See ``SlotStore``."""
        check_names(storage_index, (number,))
        key = storage_index, number
        with self.lock(storage_index):
            self._compare(key)
        verdict = check_slot_share(self, storage_index, number)
        if not verdict.sound:
            self._memory.forget(key)
        return verdict

    # --- writing ----------------------------------------------------------------------------------------

    @as_store_errors()
    def write(self, storage_index: bytes, changes: Mapping[int, SlotChange], lease: Lease, now: float) -> None:
        """See ``SlotStore``."""
        check_names(storage_index, changes)
        owner = owner_of(lease)
        wanted = granted(lease, owner, now + self._options.lease_seconds)
        with self.lock(storage_index):
            steps = [self._step(storage_index, number, change, wanted) for number, change in changes.items()]
            growth = sum(step.growth for step in steps)
            if growth <= 0 and all(step.size for step in steps):
                self._make(storage_index, steps)
                return
            reserved = max(growth, 0)
            self._room.reserve(reserved, owner)
            try:
                self._make(storage_index, steps)
            finally:
                self._room.settle(reserved, reserved, owner)

    # --- leases and advice --------------------------------------------------------------------------------

    @as_store_errors()
    def add_lease(self, storage_index: bytes, lease: Lease, owner: int, now: float) -> int:
        """See ``SlotStore``; a share whose head is damaged gets none."""
        check_names(storage_index, ())
        wanted = granted(lease, owner, now + self._options.lease_seconds)
        with self.lock(storage_index):
            self.restore(storage_index)
            shares = self._sound_heads(storage_index)
            changes = {number: with_lease(loaded.container.leases, wanted) for number, loaded in shares.items()}
            containers = [
                loaded.container for number, loaded in shares.items() if loaded.container.leases != changes[number]
            ]
            new = [container.end for container in containers if owner not in ends_of(container.leases)]
            if new and owner > UPLOAD_OWNER:
                self._books.check(owner, sum(new))
            self._set_leases(storage_index, shares, changes)
            return len(shares)

    @as_store_errors()
    def cancel_lease(self, storage_index: bytes, cancel_secret: bytes, now: float) -> int:
        """See ``SlotStore``."""
        check_names(storage_index, ())
        check_secrets(cancel_secret)
        with self.lock(storage_index):
            shares = self._sound_heads(storage_index)
            before = {number: loaded.container.leases for number, loaded in shares.items()}
            after = {number: without_lease(leases, cancel_secret, now) for number, leases in before.items()}
            self._set_leases(storage_index, shares, after)
            return sum(count_of(before[number]) - count_of(after[number]) for number in before)

    @as_store_errors()
    def leases(self, storage_index: bytes, number: int) -> tuple[LeaseFacts, ...]:
        """See ``SlotStore``."""
        check_names(storage_index, (number,))
        with self.lock(storage_index):
            try:
                return facts_of(self._loaded((storage_index, number)).container.leases)
            except CorruptShare:
                return ()

    @as_store_errors()
    def advise_corrupt(self, storage_index: bytes, number: int, reason: str, now: float) -> None:
        """See ``SlotStore``; a text file each."""
        if number not in self.numbers(storage_index):
            raise no_such_share(number)
        self._advisories.add(SLOT, storage_index, number, reason, now)

    # --- what nobody leases -------------------------------------------------------------------------------

    @as_store_errors()
    def discard(self, storage_index: bytes, number: int, expires: int, now: float) -> bool:
        """See ``SlotStore``. What the log holds would be done again to a file of the old name, so it begins anew."""
        check_names(storage_index, (number,))
        with self.lock(storage_index):
            try:
                container = self._loaded((storage_index, number)).container
            except CorruptShare:
                self._report_file(storage_index, number, path_of(storage_index, number))
                return False
            except Refused:
                self._books.index.remove(ShareName(SLOT_KIND, storage_index, number))
                return False
            if max(ends_of(container.leases).values(), default=0) != expires:
                self._enter(storage_index, number, container)
                return False
            path, stamp = path_of(storage_index, number), max(1, int(now))
            if self._log.holds(path):
                self._log.checkpoint()
            self._memory.forget((storage_index, number))
            self._trash.put(storage_index, number, stamp)
            self._enter(storage_index, number, container, stamp)
            return True

    @as_store_errors()
    def purge(self, storage_index: bytes, number: int) -> bool:
        """See ``SlotStore``. Nobody is waited for, so locks may be held."""
        return self._trash.purge(storage_index, number, self._locks[storage_index[-1] % _LOCKS])

    @as_store_errors()
    def restore(self, storage_index: bytes) -> int:
        """See ``SlotStore``; durably."""
        check_names(storage_index, ())
        with self.lock(storage_index):
            restored = self._trash.restore(storage_index)
            if restored:
                self._settle(folder_of(storage_index))
            return restored

    def indexes_with_folders(self) -> Iterator[bytes]:
        """All indexes that may have a share, be it in the trash, ascending."""
        for prefix in prefixes_in(self._names(SLOTS), b""):
            yield from indexes_in(self._names(f"{SLOTS}/{prefix}"), b"")

    @as_store_errors()
    def report(self, storage_index: bytes) -> None:
        """Tell the books of all shares of a slot, as they are on the disk."""
        with self.lock(storage_index):
            self._trash.report(storage_index)

    def _report_file(self, storage_index: bytes, number: int, path: str, stamp: int = 0) -> None:
        """Tell the books of a share's file; one whose head can't be read is everybody's for ever."""
        file = self._filesystem.open(path)
        size = file.size()
        try:
            ends = ends_of(SlotContainer.parse(file.read).leases)
        except ValueError:
            ends = {}
        finally:
            file.close()
        self._books.enter(Entry(ShareName(SLOT_KIND, storage_index, number), size, ends, discarded=stamp))

    def _enter(self, storage_index: bytes, number: int, container: SlotContainer, stamp: int = 0) -> None:
        """Tell the books of a share."""
        name, ends = ShareName(SLOT_KIND, storage_index, number), ends_of(container.leases)
        self._books.enter(Entry(name, container.end, ends, discarded=stamp))

    # --- recovery -----------------------------------------------------------------------------------------

    def _recover(self) -> None:
        self._log.recover()
        for folder in (SLOTS, INCOMING):
            self._folders.make(folder)
        self._folders.settle(INCOMING)
        for name in self._filesystem.listdir(INCOMING):
            self._filesystem.unlink(f"{INCOMING}/{name}")

    # --- finding ------------------------------------------------------------------------------------------

    def _names(self, folder: str) -> list[str]:
        try:
            return self._filesystem.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _storage_indexes(self, after: bytes) -> Iterator[bytes]:
        for prefix in prefixes_in(self._names(SLOTS), after):
            for storage_index in indexes_in(self._names(f"{SLOTS}/{prefix}"), after):
                if numbers_in(self._names(folder_of(storage_index))):
                    yield storage_index

    @contextmanager
    def _opened(self, key: Key) -> Iterator[File]:
        try:
            file = self._filesystem.open(path_of(*key))
        except FileNotFoundError:
            raise no_such_share(key[1]) from None
        try:
            yield file
        finally:
            file.close()

    def _loaded(self, key: Key) -> _Loaded:
        """A share's head, from memory or from the disk; its lock is held."""
        found = self._memory.find(key)
        if found is None:
            found = _Loaded(self._read_container(key))
            self._memory.keep(key, found)
        return found

    def _read_container(self, key: Key) -> SlotContainer:
        """A share's head from the disk, with a signature that belongs to its storage index."""
        try:
            with self._opened(key) as file:
                container = SlotContainer.parse(file.read)
            container.head.proof.check(key[0])
        except ValueError as error:
            raise CorruptShare("", key[1], str(error)) from error
        return container

    def _read_tree(self, key: Key, container: SlotContainer) -> SparseTree:
        """A share's block tree from the disk, which leads to the signed root."""
        shape = container.head.version.shape
        with self._opened(key) as file:
            leaves = [file.read(container.span(segment)[0], HASH_SIZE) for segment in range(shape.segment_count)]
        tree = SparseTree.of_leaves(leaves)
        if not container.head.vouches_for(key[1], tree.root):
            raise CorruptShare("", key[1], "the leaves don't lead to the signed root hash")
        return tree

    def _sound_heads(self, storage_index: bytes) -> dict[int, _Loaded]:
        found = {}
        for number in numbers_in(self._names(folder_of(storage_index))):
            with suppress(CorruptShare):
                found[number] = self._loaded((storage_index, number))
        return found

    def _compare(self, key: Key) -> None:
        """Forget what is in memory of a share if the disk says otherwise."""
        try:
            fresh = self._read_container(key)
        except CorruptShare:
            self._memory.forget(key)
            return
        if fresh.pack() != self._loaded(key).container.pack():
            self._memory.forget(key)

    # --- changing -----------------------------------------------------------------------------------------

    def _step(self, storage_index: bytes, number: int, change: SlotChange, lease: LeaseRecord) -> _Step:
        """What a change makes of a share's file; a file whose head is damaged is replaced, leases and all."""
        before = None
        with suppress(CorruptShare, Refused):
            before = self._loaded((storage_index, number))
        container = SlotContainer(change.head, ()) if before is None else before.container.with_head(change.head)
        after = container.leased(with_lease(container.leases, lease))
        return _Step(number, self._size(storage_index, number), before, after, change)

    def _size(self, storage_index: bytes, number: int) -> int:
        try:
            return self._filesystem.size(path_of(storage_index, number))
        except FileNotFoundError:
            return 0

    def _set_leases(self, storage_index: bytes, shares: Mapping[int, _Loaded], wanted: Mapping[int, Leases]) -> None:
        """Change the leases of shares where they differ."""
        steps = []
        for number, leases in wanted.items():
            before = shares[number]
            if leases != before.container.leases:
                same = SlotChange(before.container.head, {}, {}, whole=False)
                after = before.container.leased(leases)
                steps.append(_Step(number, self._size(storage_index, number), before, after, same))
        self._make(storage_index, steps)

    def _make(self, storage_index: bytes, steps: Sequence[_Step]) -> None:
        """Carry out steps, each wholly and durably; room for them is there."""
        large = [step for step in steps if step.is_large]
        paths: dict[int, str] = {}
        try:
            for step in large:
                paths[step.number] = self._new_file(storage_index, step)
            self._change(storage_index, [step for step in steps if not step.is_large])
            self._publish(storage_index, large, paths)
        finally:
            for path in paths.values():
                with suppress(OSError):
                    self._filesystem.unlink(path)

    def _change(self, storage_index: bytes, steps: Sequence[_Step]) -> None:
        """Change files through the log: all of them or (after an error) none, or all of them later."""
        if not steps:
            return
        try:
            self._log.change(tuple(self._file_change(storage_index, step) for step in steps))
        except OSError:
            for step in steps:
                self._memory.forget((storage_index, step.number))
            raise
        for step in steps:
            self._enter(storage_index, step.number, step.after)
            self._remember(storage_index, step)

    def _file_change(self, storage_index: bytes, step: _Step) -> FileChange:
        path = path_of(storage_index, step.number)
        if not step.in_place:
            content = b"".join(self._content((storage_index, step.number), step))
            return FileChange(path, step.after.end, is_new=True, patches=((0, content),))
        return FileChange(path, step.after.end, patches=tuple(_patches(step.after, step.change.records)))

    def _new_file(self, storage_index: bytes, step: _Step) -> str:
        """Make a share's file anew, durable but for its name; leave none behind if that fails."""
        self._make_folder(storage_index)
        path = f"{INCOMING}/{base32.encode(storage_index)}.{step.number}.{next(self._serial)}"
        file = self._filesystem.create(path)
        try:
            offset = 0
            for piece in _pieces(self._content((storage_index, step.number), step)):
                file.write(offset, piece)
                offset += len(piece)
            file.sync()
        except BaseException:
            with suppress(OSError):
                self._filesystem.unlink(path)
            raise
        finally:
            file.close()
        return path

    def _content(self, key: Key, step: _Step) -> Iterator[bytes]:
        """The bytes of a new file; records that stay are copied."""
        yield step.after.pack()
        records = step.change.records
        kept = [each for each in range(step.after.head.version.shape.segment_count) if each not in records]
        if not kept:
            yield from (b"".join(records[segment]) for segment in sorted(records))
            return
        assert step.before is not None
        with self._opened(key) as file:
            for segment in range(step.after.head.version.shape.segment_count):
                if segment in records:
                    yield b"".join(records[segment])
                else:
                    yield file.read(*step.before.container.span(segment))

    def _publish(self, storage_index: bytes, steps: Sequence[_Step], paths: dict[int, str]) -> None:
        """Give new files their names, durably; those that got theirs leave ``paths``."""
        if not steps:
            return
        folder = folder_of(storage_index)
        self._log.checkpoint()  # or else what it holds of a file would be done again to the one in its place
        self._unsettled.add(folder)
        for step in steps:
            self._memory.forget((storage_index, step.number))
            self._filesystem.rename(paths[step.number], path_of(storage_index, step.number))
            del paths[step.number]
            self._folders.changed(folder)
            self._enter(storage_index, step.number, step.after)
        self._settle(folder)
        for step in steps:
            self._remember(storage_index, step)

    def _remember(self, storage_index: bytes, step: _Step) -> None:
        """Keep what a share has become in memory, as far as it was there."""
        tree = SparseTree(0) if step.change.whole or step.before is None else step.before.tree
        if tree is not None:
            apply(tree, step.change.nodes, step.after.head.version.shape.segment_count)
        self._memory.keep((storage_index, step.number), _Loaded(step.after, tree))

    def _make_folder(self, storage_index: bytes) -> None:
        folder = folder_of(storage_index)
        self._folders.make(folder.rpartition("/")[0])
        self._folders.make(folder)

    def _settle(self, folder: str) -> None:
        """Return when the names in a directory, and its own, are durable."""
        self._folders.settle(folder)
        self._unsettled.discard(folder)


def _patches(container: SlotContainer, records: Mapping[int, SlotRecord]) -> Iterator[tuple[int, bytes]]:
    """A container's head and some of its records, each run of what stands side by side as one piece."""
    start, gathered = 0, [container.pack()]
    end = len(gathered[0])
    for segment in sorted(records):
        offset, size = container.span(segment)
        if offset != end:
            yield start, b"".join(gathered)
            start, gathered = offset, []
        gathered += records[segment]
        end = offset + size
    yield start, b"".join(gathered)


def _pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join parts into pieces worth a call."""
    gathered: list[bytes] = []
    size = 0
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= _PIECE:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


class _Memory:
    """Shares looked at lately, least lately used out first. May be used from several threads at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[Key, tuple[_Loaded, int]] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def find(self, key: Key) -> _Loaded | None:
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def keep(self, key: Key, loaded: _Loaded) -> None:
        """Keep it, unless it alone would take a quarter of the room: then without its tree."""
        with self._lock:
            self._drop(key)
            if loaded.weight > self._most // 4:
                loaded = _Loaded(loaded.container)
            self._entries[key] = loaded, loaded.weight
            self._weight += loaded.weight
            while self._weight > self._most:
                self._drop(next(iter(self._entries)))

    def forget(self, key: Key) -> None:
        with self._lock:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        gone = self._entries.pop(key, None)
        if gone is not None:
            self._weight -= gone[1]
