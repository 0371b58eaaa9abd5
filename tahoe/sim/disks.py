"""What outlives a storage server's incarnations: its disk, and the store that each of them opens on it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import NamedTuple, Protocol, cast

from tahoe.codec.share import IncompatibleShare, parse_header
from tahoe.protocol import ShareFacts
from tahoe.storage.content import Content
from tahoe.storage.disk import DiskStore
from tahoe.storage.faulty import FaultyStore, Schedule
from tahoe.storage.filesystem import SECTOR, VolatileFileSystem
from tahoe.storage.layout import SHARES
from tahoe.storage.memory import MemoryStore
from tahoe.storage.slots import SlotStore
from tahoe.storage.store import DEFAULT_OPTIONS, ShareStore, StoreOptions


class Stores(NamedTuple):
    """What a server keeps: shares of files, and slots."""

    shares: ShareStore
    slots: SlotStore


class Platter(Protocol):
    """A disk: what a store is opened on."""

    def open(self) -> Stores:
        """The stores of a new incarnation, with what the disk kept."""

    def kill(self) -> None:
        """The process is gone, in the middle of what it did."""

    def lose_power(self, chance: Random) -> None:
        """So is the power: chance decides about what was not synced."""

    def fail(self, verb: str, error: str) -> None:
        """Let calls of the file system fail until ``mend``: ``sync`` with ``EIO``, say."""

    def mend(self) -> None:
        """Let them succeed again."""

    def rot_slot(self, chance: Random) -> None:
        """Flip a bit in the container of a slot, if there is any."""

    def misdirect(self, chance: Random) -> None:
        """Let sectors of one container lie in another, where a write went astray."""


class MemoryPlatter:
    """A disk that keeps everything it was given, whatever happens. Quick, and holds phantoms."""

    def __init__(self, options: StoreOptions = DEFAULT_OPTIONS) -> None:
        self._store = MemoryStore(options)

    def open(self) -> Stores:
        """The one store there is."""
        return Stores(self._store, self._store.slots)

    def kill(self) -> None:
        """Nothing is lost."""

    def lose_power(self, chance: Random) -> None:
        """Nothing is lost."""

    def fail(self, verb: str, error: str) -> None:
        """There is no file system here."""

    def mend(self) -> None:
        """Nothing was ever wrong."""

    def rot_slot(self, chance: Random) -> None:
        """Memory does not rot."""

    def misdirect(self, chance: Random) -> None:
        """Nor does it mistake one place for another."""


class VolatilePlatter:
    """The real store's files on the file system that keeps only what was synced."""

    def __init__(self, options: StoreOptions = DEFAULT_OPTIONS) -> None:
        self._filesystem = VolatileFileSystem()
        self._options = options

    def open(self) -> Stores:
        """The real store, which recovers from however its last run ended."""
        store = DiskStore(self._filesystem, self._options).open()
        return Stores(store, store.slots)

    def kill(self) -> None:
        """Open files are gone; what was written is there."""
        self._filesystem.kill()

    def lose_power(self, chance: Random) -> None:
        """What was not synced is gone, or not, or half."""
        self._filesystem.crash(chance)

    def fail(self, verb: str, error: str) -> None:
        """Let calls fail until ``mend``."""
        number = getattr(errno, error)
        self._filesystem.trouble = lambda _, called: OSError(number, os.strerror(number)) if called == verb else None

    def mend(self) -> None:
        """Let them succeed again."""
        self._filesystem.trouble = lambda _call, _verb: None

    def rot_slot(self, chance: Random) -> None:
        """Flip a bit somewhere in a container."""
        with self._unasked():
            found = sorted(_containers(self._filesystem, SLOT_FOLDER))
            if found:
                self._flip(chance.choice(found), chance)

    def misdirect(self, chance: Random) -> None:
        """Write sectors of a container where those of another one belong."""
        with self._unasked():
            found = sorted(path for folder in (SHARES, SLOT_FOLDER) for path in _containers(self._filesystem, folder))
            if len(found) > 1:
                source, target = chance.sample(found, 2)
                self._stray(source, target, chance)

    @contextmanager
    def _unasked(self) -> Iterator[None]:
        """What happens to a disk by itself asks no file system whether it is well."""
        trouble = self._filesystem.trouble
        self.mend()
        yield
        self._filesystem.trouble = trouble

    def _stray(self, source: str, target: str, chance: Random) -> None:
        sectors = range(0, max(1, self._filesystem.size(target)), SECTOR)
        place = chance.choice(sectors)
        room = self._filesystem.size(target) - place
        data = self._filesystem.open(source).read(place, min(room, SECTOR * chance.randint(1, 4)))
        if data:
            file = self._filesystem.edit(target)
            file.write(place, data)
            file.sync()

    def _flip(self, path: str, chance: Random) -> None:
        file = self._filesystem.edit(path)
        place = chance.randrange(max(1, self._filesystem.size(path)))
        byte = file.read(place, 1)
        file.write(place, bytes([each ^ 1 << chance.randrange(8) for each in byte]))
        file.sync()


SLOT_FOLDER = "slots"


def _containers(filesystem: VolatileFileSystem, root: str) -> Iterator[str]:
    """Containers below a folder of shares or slots: ``slots/XX/INDEX/n``."""
    for prefix in _names_in(filesystem, root):
        for index in _names_in(filesystem, f"{root}/{prefix}"):
            folder = f"{root}/{prefix}/{index}"
            yield from (f"{folder}/{name}" for name in _names_in(filesystem, folder) if name.isdigit())


def _names_in(filesystem: VolatileFileSystem, folder: str) -> list[str]:
    try:
        return filesystem.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


class Mounted:
    """The store of one incarnation, before which faults may come and from which they may go.

    It has every method of a store, bound to whatever store is switched to: a call through it costs nothing.
    """

    def switch(self, store: ShareStore) -> None:
        """Let this store answer from now on."""
        for name in STORE_METHODS:
            setattr(self, name, getattr(store, name))


STORE_METHODS = tuple(name for name in vars(ShareStore) if not name.startswith("_"))


class Disk:
    """A disk in a server, with the faults that it has now.

    Args:
        platter: what keeps the bytes.
        stall: is told the seconds by which a slow disk delays what runs now.
    """

    def __init__(self, platter: Platter, stall: Callable[[float], None]) -> None:
        self.platter = platter
        self._stall = stall
        self._faults: dict[int, Schedule] = {}
        self._count = 0
        self._sound: ShareStore | None = None
        self._slots: SlotStore | None = None
        self._mounted: Mounted | None = None

    def mount(self) -> Stores:
        """The stores of a new incarnation; faults (of shares, not of slots) stay where they are."""
        self._sound, self._slots = self.platter.open()
        self._mounted = Mounted()
        self._spoil()
        return Stores(self.store, self._slots)

    @property
    def store(self) -> ShareStore:
        """The store as the present incarnation has it, faults included."""
        assert self._mounted is not None, "nothing was ever booted on this disk"
        return cast("ShareStore", self._mounted)

    @property
    def slots(self) -> SlotStore:
        """The slots as the present incarnation has them."""
        assert self._slots is not None, "nothing was ever booted on this disk"
        return self._slots

    def honest(self, storage_index: bytes) -> dict[int, ShareFacts]:
        """The shares of an index that are sound and say what was written, whatever faults there are."""
        assert self._sound is not None, "nothing was ever booted on this disk"
        sound, store = self._sound, self.store
        return {
            number: facts
            for number, facts in store.shares(storage_index).items()
            if number in sound.shares(storage_index)
            and store.scrub(storage_index, number).sound
            and _says_the_same(
                store.read(storage_index, number, 0, facts.size), sound.read(storage_index, number, 0, facts.size)
            )
        }

    def add_faults(self, faults: Schedule) -> int:
        """Let the store misbehave until ``remove_faults`` of the number returned."""
        self._count += 1
        self._faults[self._count] = faults
        self._spoil()
        return self._count

    def remove_faults(self, number: int) -> None:
        """End some faults."""
        self._faults.pop(number, None)
        self._spoil()

    def _spoil(self) -> None:
        if self._mounted is None or self._sound is None:
            return
        faults = tuple(fault for schedule in self._faults.values() for fault in schedule)
        self._mounted.switch(FaultyStore(self._sound, faults, self._stall) if faults else self._sound)


def _says_the_same(share: Content, truth: Content) -> bool:
    """Whether all sections that anybody reads are equal: no hash covers the plaintext hashes and some fields of the header."""
    if share == truth or not isinstance(share, bytes) or not isinstance(truth, bytes):
        return share == truth
    try:
        mine, theirs = parse_header(share), parse_header(truth)
    except (ValueError, IncompatibleShare):
        return False
    sections = (
        (mine.data, theirs.data, theirs.plaintext_hashes),
        (mine.crypttext_hashes, theirs.crypttext_hashes, theirs.block_hashes),
        (mine.block_hashes, theirs.block_hashes, theirs.share_hashes),
        (mine.share_hashes, theirs.share_hashes, theirs.uri_extension),
        (mine.uri_extension, theirs.uri_extension, len(truth)),
    )
    return all(share[at : at + stop - start] == truth[start:stop] for at, start, stop in sections)
