"""Clients at work in a simulated grid, and the record of what they were told.

Everything that a client does goes into a history (``sim/history.py``) as an entry that is open while it is under way, so
that of work which ends with a crash nobody claims to know anything. Values are numbers of chores: each is written once,
so that whoever reads one knows whose it is, and contents that nobody wrote are found at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from tahoe.actors.client import Client
from tahoe.actors.directories import Listing, NewChild, Replace
from tahoe.actors.keeper import Target
from tahoe.actors.roots import GLOBAL_ROOT, publish_root
from tahoe.actors.slots import Draft, Revision, SlotContents
from tahoe.actors.tree import Walk
from tahoe.actors.upload import UploadResult
from tahoe.codec.capability import Capability, Directory, ImmutableRead, SlotWrite
from tahoe.codec.directory import CorruptDirectory
from tahoe.codec.slot import VersionId
from tahoe.errors import ChildExists, CorruptFile, Indefinite, NoSuchChild, NotEnoughShares, TahoeError
from tahoe.protocol import CLIENT, NodeId
from tahoe.session.identity import GridKey
from tahoe.sim import carework, keepwork
from tahoe.sim.chores import (
    NAMES,
    REGIONS,
    AnyChore,
    Append,
    Backup,
    Keep,
    Link,
    List,
    Mkdir,
    Move,
    Overwrite,
    Patch,
    ReadSlots,
    Rename,
    StoreFile,
    Unlink,
    WalkTree,
)
from tahoe.sim.grid import CONVERGENCE, SimGrid
from tahoe.sim.history import Drop, Entry, History, Load, Put, See, SeeAny, Shift, Step, Store, Take
from tahoe.sim.violation import Violation

LINE_BYTES = 8
FINAL_NUMBER = 10_000
"""Where the numbers of chores begin that are done after the storm."""


class Acknowledged(NamedTuple):
    """A file whose upload was reported as done."""

    content: bytes
    capability: str
    result: UploadResult

    def is_gone_from(self, grid: SimGrid) -> bool:
        """Whether no disk has any share of it."""
        found = self.result.capability
        if not isinstance(found, ImmutableRead):
            return False
        return not any(disk.store.shares(found.storage_index) for disk in grid.fleet.disks.values())


def content_of(chore: StoreFile) -> bytes:
    """The bytes of a chore's file."""
    return Random(f"content {chore.content} {chore.size}").randbytes(chore.size)


def slot_text(number: int, size: int) -> bytes:
    """What an overwriting chore writes: its number, and bytes that follow from it."""
    return number.to_bytes(LINE_BYTES) + Random(f"slot {number}").randbytes(size)


def token_of(number: int) -> ImmutableRead:
    """The file that a linking chore links. Nobody ever reads it."""
    return ImmutableRead(number.to_bytes(16), bytes(32), 1, 1, number)


@dataclass(slots=True)
class Workshop:
    """The clients of a grid, what they work on, and what they were told.

    Args:
        grid: up and running.
        region_bytes: of a region of the slot that is changed at offsets.
        happy: on how many servers a file has to be.

    Attributes:
        history: of slots and directories.
        files: those stored.
        directories: of the tree, in the order in which they came to be.
        overwritten: bytes that overwriting chores wrote after their numbers.
        made: shares that repairs have made.
        cared_for: what caretakers were told to look after.
        written: the newest version that each client has written of each slot in an incarnation of his.
        told: how often clients were told what, and other rare states: ``sometimes``.
    """

    grid: SimGrid
    region_bytes: int
    happy: int
    history: History = field(default_factory=History)
    files: list[Acknowledged] = field(default_factory=list)
    directories: list[Directory] = field(default_factory=list)
    slots: list[SlotWrite] = field(default_factory=list)
    overwritten: dict[int, int] = field(default_factory=dict)
    linked: dict[str, int] = field(default_factory=dict)
    made: list[keepwork.Made] = field(default_factory=list)
    cared_for: list[Capability] = field(default_factory=list)
    written: dict[tuple[NodeId, int, int], VersionId] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)

    def client(self, number: int) -> Client:
        """A client's actor in its present incarnation."""
        found: Client = self.grid.clients[number].actor(CLIENT)
        return found

    def set_up(self) -> None:
        """Make the slots and the root of the tree, before anything goes wrong."""
        first = self.client(0)
        blank = bytes(REGIONS * self.region_bytes)
        self.slots = [self.grid.run(first.slots.create(contents)) for contents in (slot_text(0, 0), b"", blank)]
        self.overwritten[0] = 0
        self.history.saw(self._now, self._now, Put(("slot",), 0))
        for region in range(REGIONS):
            self.history.saw(self._now, self._now, Put(("region", region), 0))
        self._set_up_tree(first)
        for number, slot in enumerate(self.slots):
            self.grid.run(carework.entrust(self, 0, f"slot {number}", slot))

    def _set_up_tree(self, first: Client) -> None:
        """Make the root, publish it as the grid's, and make a directory beside it, to move things to."""
        root = self.grid.run(first.directories.create())
        key = GridKey.from_seed(self.grid.world.random("grid").randbytes(32))
        self.grid.run(first.roots.publish(publish_root(key, GLOBAL_ROOT, 1, root)))
        self.directories = [root, self.grid.run(first.directories.create())]

    @property
    def _now(self) -> float:
        return self.grid.world.now()

    # --- work -----------------------------------------------------------------------------------------------

    async def do(self, chore: AnyChore) -> None:
        """Do a chore, in whatever weather."""
        handler: Callable[[Workshop, Any], Awaitable[None]] = HANDLERS[type(chore)]
        try:
            await handler(self, chore)
        except (CorruptFile, CorruptDirectory) as error:
            raise Violation(f"a client was told that honest people wrote nonsense: {error}") from error
        except TahoeError as error:
            self.told[type(error).__name__] += 1
        else:
            self.told["done"] += 1

    async def acknowledged(self, work: Awaitable[object], *steps: Step) -> bool:
        """Do something, and keep what was told about it; whether it was done."""
        entry = self.history.begin(self._now, *steps)
        try:
            await work
        except Indefinite:
            raise
        except ChildExists:
            self._refused(entry, "exists")
            raise
        except NoSuchChild:
            self._refused(entry, "missing")
            raise
        except TahoeError:
            self.history.forget(entry)
            raise
        entry.end = self._now
        return True

    def _refused(self, entry: Entry, why: str) -> None:
        """It was not done, and what is there is the reason."""
        self.history.forget(entry)
        step = entry.steps[0]
        if isinstance(step, (Put, Shift)) and why == "exists":
            self.history.saw(entry.start, self._now, SeeAny(step.new if isinstance(step, Shift) else step.key))
        elif isinstance(step, (Take, Shift)) and why == "missing":
            self.history.saw(entry.start, self._now, See(step.old if isinstance(step, Shift) else step.key, None))

    # --- files ----------------------------------------------------------------------------------------------

    async def store_file(self, chore: StoreFile) -> None:
        """Store a file and read it back."""
        content = content_of(chore)
        file = await self.store(content, chore.client, CONVERGENCE if chore.convergent else None)
        await self.read_file(file, chore.client, 0, None)
        await self.read_file(file, chore.client, chore.size // 3, chore.size // 2)

    async def store(self, content: bytes, client: int, convergence: bytes | None) -> Acknowledged:
        """Store bytes, and keep what was promised.

        Raises:
            Violation: it is on fewer servers than the grid wants.
        """
        result = await self.grid.store(content, client, convergence)
        homes, happy = len(set(result.homes.values())), self.happy
        if isinstance(result.capability, ImmutableRead) and homes < happy:
            raise Violation(f"a file was stored on {homes} servers, where {happy} are asked for")
        self.told["file stored"] += 1
        file = Acknowledged(content, str(result.capability), result)
        self.files.append(file)
        await carework.entrust(self, client, f"file {len(self.files)}", result.capability)
        return file

    def targets(self) -> list[Target]:
        """All that there is to be looked after: files, then slots, then directories."""
        files = (file.result.capability for file in self.files)
        return keepwork.targets_of((*files, *self.slots, *self.directories))

    async def read_file(self, file: Acknowledged, client: int, offset: int = 0, length: int | None = None) -> None:
        """Read a part of a file.

        Raises:
            Violation: the bytes are wrong.
        """
        found = await self.grid.fetch(file.capability, client, offset, length)
        expected = file.content[offset:] if length is None else file.content[offset : offset + length]
        if found != expected:
            raise Violation(f"wrong bytes: {len(found)} instead of {len(expected)} of {file.capability}")
        self.told["file fetched"] += 1

    # --- slots ----------------------------------------------------------------------------------------------

    async def overwrite(self, chore: Overwrite) -> None:
        """Replace the contents of the first slot."""
        self.overwritten[chore.number] = chore.size
        work = self.client(chore.client).slots.overwrite(self.slots[0], slot_text(chore.number, chore.size))
        await self._wrote(chore.client, 0, work, Put(("slot",), chore.number))

    async def append(self, chore: Append) -> None:
        """Add a line to the second slot, as one may who merges what rivals wrote."""
        line = chore.number.to_bytes(LINE_BYTES)

        async def revise(draft: Draft) -> Revision | None:
            lines = dict.fromkeys(_lines(await draft.contents()))
            merged = dict(lines)
            for head in draft.heads[1:]:
                self.told["heads merged"] += 1
                try:
                    merged |= dict.fromkeys(_lines(await draft.contents(head)))
                except NotEnoughShares:
                    continue
            merged[line] = None
            return None if merged == lines else Revision.whole(b"".join(merged))

        work = self.client(chore.client).slots.modify(self.slots[1], revise)
        await self._wrote(chore.client, 1, work, Put(("line", chore.number), True, only_new=True))  # a value

    async def patch(self, chore: Patch) -> None:
        """Write a region of the third slot."""
        text = chore.number.to_bytes(LINE_BYTES) * (self.region_bytes // LINE_BYTES)
        work = self.client(chore.client).slots.update(self.slots[2], chore.region * self.region_bytes, text)
        await self._wrote(chore.client, 2, work, Put(("region", chore.region), chore.number))

    async def _wrote(self, client: int, slot: int, work: Awaitable[VersionId], step: Step) -> None:
        """Write a slot, and keep which version it was."""
        key = self._key(client, slot)

        async def noted() -> None:
            version = await work
            self.written[key] = max(version, self.written.get(key, version))

        await self.acknowledged(noted(), step)

    def _key(self, client: int, slot: int) -> tuple[NodeId, int, int]:
        node = self.grid.clients[client]
        return node.name, node.boots, slot

    async def read_slots(self, chore: ReadSlots) -> None:
        """Read all slots."""
        for look in (self._read_register, self._read_lines, self._read_regions):
            await look(chore.client)

    async def _read(self, client: int, slot: int) -> SlotContents:
        newest = self.written.get(self._key(client, slot))
        contents = await self.client(client).slots.read(self.slots[slot])
        if newest is not None and contents.version < newest:
            raise Violation(f"client {client} was shown an older version of a slot than he had written")
        if contents.may_be_stale:
            self.told["stale read"] += 1
        return contents

    async def _read_register(self, client: int) -> None:
        start = self._now
        contents = await self._read(client, 0)
        number = int.from_bytes(contents.data[:LINE_BYTES])
        whole = slot_text(number, self.overwritten[number]) if number in self.overwritten else b""
        if contents.data != whole and not await self._is_beginning(client, contents.data, whole):
            raise Violation(f"the slot has contents that nobody wrote, under the number {number}")
        if not contents.may_be_stale:
            self.history.saw(start, self._now, See(("slot",), number))

    async def _is_beginning(self, client: int, data: bytes, whole: bytes) -> bool:
        """Whether this is a version on the way to contents that no message can bring at once."""
        slots = self.client(client).slots
        version = await slots.newest(self.slots[0].storage_index)
        most = len(whole) if version is None else slots.most(version.shape)
        return most <= len(data) < len(whole) and not len(data) % most and whole.startswith(data)

    async def _read_lines(self, client: int) -> None:
        start = self._now
        contents = await self._read(client, 1)
        found = _lines(contents.data)
        if len(set(found)) < len(found) or len(contents.data) % LINE_BYTES:
            raise Violation("the slot has a line twice, or half a line")
        numbers = {int.from_bytes(line) for line in found}
        if not contents.may_be_stale:
            for number in self._lines_ever() | numbers:
                self.history.saw(start, self._now, See(("line", number), True if number in numbers else None))

    def _lines_ever(self) -> set[Any]:
        return {
            step.key[1]
            for entry in self.history.entries
            for step in entry.steps
            if isinstance(step, Put) and step.key[0] == "line"
        }

    async def _read_regions(self, client: int) -> None:
        start = self._now
        contents = await self._read(client, 2)
        for region in range(REGIONS):
            text = contents.data[region * self.region_bytes : (region + 1) * self.region_bytes]
            number = text[:LINE_BYTES]
            if text != number * (self.region_bytes // LINE_BYTES):
                raise Violation(f"region {region} of the slot is half of one change and half of another")
            if not contents.may_be_stale:
                self.history.saw(start, self._now, See(("region", region), int.from_bytes(number)))

    # --- the tree -------------------------------------------------------------------------------------------

    def _directory(self, number: int) -> tuple[int, Directory]:
        place = number % len(self.directories)
        return place, self.directories[place]

    async def link(self, chore: Link) -> None:
        """Link a file."""
        place, directory = self._directory(chore.directory)
        capability = token_of(chore.number)
        self.linked[str(capability)] = chore.number
        work = self.client(chore.client).directories.set_children(
            directory, {chore.name: NewChild(capability)}, _replace(only_new=chore.only_new)
        )
        await self.acknowledged(work, Put((place, chore.name), chore.number, chore.only_new))

    async def unlink(self, chore: Unlink) -> None:
        """Take a child out."""
        place, directory = self._directory(chore.directory)
        await self.acknowledged(
            self.client(chore.client).directories.unlink(directory, chore.name), Take((place, chore.name))
        )

    async def rename(self, chore: Rename) -> None:
        """Give a child another name."""
        place, directory = self._directory(chore.directory)
        replace = _replace(only_new=chore.only_new)
        work = self.client(chore.client).directories.rename(directory, chore.name, chore.new, replace)
        await self.acknowledged(work, Shift((place, chore.name), (place, chore.new), chore.only_new))

    async def move(self, chore: Move) -> None:
        """Move a child to another directory. Refused in the middle it may have been linked there already."""
        source_place, source = self._directory(chore.directory)
        target_place, target = self._directory(chore.target)
        old, new = (source_place, chore.name), (target_place, chore.new)
        work = self.client(chore.client).directories.move(
            source, chore.name, target, chore.new, _replace(only_new=chore.only_new)
        )
        if source_place == target_place:
            await self.acknowledged(work, Shift(old, new, chore.only_new))
            return
        entry = self.history.begin(self._now, Load(old), Store(new, chore.only_new), Drop(old))
        await work
        entry.end = self._now

    async def mkdir(self, chore: Mkdir) -> None:
        """Make a directory in a directory."""
        place, directory = self._directory(chore.directory)
        directories = self.client(chore.client).directories
        made = await directories.create()
        self.linked[str(made.read_only())] = -chore.number
        work = directories.set_children(directory, {chore.name: NewChild(made)}, Replace.NEVER)
        await self.acknowledged(work, Put((place, chore.name), -chore.number, only_new=True))
        self.directories.append(made)

    async def list(self, chore: List) -> None:
        """List a directory; the root as the grid's, too."""
        place, directory = self._directory(chore.directory)
        client = self.client(chore.client)
        if not place:
            directory = await client.roots.find(GLOBAL_ROOT)
        start = self._now
        self._listed(place, start, await client.directories.list(directory))

    def _listed(self, place: int, start: float, listing: Listing) -> None:
        """Keep what was seen.

        Raises:
            Violation: there is something that nobody linked.
        """
        found = {name: self._value(entry.read) for name, entry in listing.items()}
        strange = [name for name in found if name not in NAMES]
        if strange:
            raise Violation(f"names that nobody gave: {strange}")
        if listing.may_be_stale:
            self.told["stale listing"] += 1
            return
        for name in NAMES:
            self.history.saw(start, self._now, See((place, name), found.get(name)))

    def _value(self, capability: Capability) -> int:
        number = self.linked.get(str(capability))
        if number is None:
            raise Violation("a directory has a child that nobody linked")
        return number

    async def walk(self, chore: WalkTree) -> None:
        """Visit everything from the root down."""
        async for visit in Walk(self.client(chore.client).directories, self.directories[0]):
            self.told["visited"] += 1
            if isinstance(visit.capability, Directory) and visit.entry is not None:
                self._value(visit.entry.read)
            if visit.trouble is not None:
                raise visit.trouble

    async def change_everything(self, client: int) -> None:
        """Change every slot and every directory."""
        number = FINAL_NUMBER + client
        await self.overwrite(Overwrite(client, 0.0, number, 10))
        await self.append(Append(client, 0.0, number))
        await self.patch(Patch(client, 0.0, number, client % REGIONS))
        for place in range(len(self.directories)):
            await self.link(Link(client, 0.0, number, place, NAMES[0], only_new=False))

    async def look_at_everything(self, client: int) -> None:
        """Read all slots and list all directories."""
        chore = ReadSlots(client, 0.0, 0)
        await self.read_slots(chore)
        for place in range(len(self.directories)):
            start = self._now
            self._listed(place, start, await self.client(client).directories.list(self.directories[place]))


def _replace(*, only_new: bool) -> Replace:
    return Replace.NEVER if only_new else Replace.ALWAYS


def _lines(contents: bytes) -> list[bytes]:
    return [contents[start : start + LINE_BYTES] for start in range(0, len(contents), LINE_BYTES)]


HANDLERS: Mapping[type[Any], Any] = {
    StoreFile: Workshop.store_file,
    Keep: keepwork.keep,
    Backup: keepwork.back_up,
    Overwrite: Workshop.overwrite,
    Append: Workshop.append,
    Patch: Workshop.patch,
    ReadSlots: Workshop.read_slots,
    Link: Workshop.link,
    Unlink: Workshop.unlink,
    Rename: Workshop.rename,
    Move: Workshop.move,
    Mkdir: Workshop.mkdir,
    List: Workshop.list,
    WalkTree: Workshop.walk,
}
