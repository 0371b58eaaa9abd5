"""The directories of a client: listed, looked up by path, and edited.

What a holder may do follows from his cap: a write cap changes the table and hands out its children with all their power,
a read cap lists them read-only all the way down, and an immutable directory is a file with a table in it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from tahoe.actors.children import Entry, Keyring, Listing, NewChild, immutable_entry, linked
from tahoe.actors.editing import Editor
from tahoe.actors.edits import Kind, Operation, Rename, Replace, Sealed, SetLinks, Unlink
from tahoe.actors.slots import Slots
from tahoe.actors.tables import Tables
from tahoe.codec.capability import (
    Capability,
    Directory,
    ImmutableRead,
    Literal,
    SlotRead,
    SlotWrite,
    Unknown,
    parse,
    unknown_child,
)
from tahoe.codec.directory import (
    NONCE_SIZE,
    Child,
    DirectoryTable,
    check_name,
    normal_name,
    pack_immutable,
    unpack_immutable,
)
from tahoe.context import Context
from tahoe.errors import BadCapability, ChildExists, Conflict, NoSuchChild, NotADirectory, ReadOnly

__all__ = [
    "Directories",
    "Entry",
    "Files",
    "Found",
    "Kind",
    "Listing",
    "NewChild",
    "Replace",
]

DIRECTORY_SEGMENT = 4096
"""Segment of a directory's slot: what an added name rewrites."""

BATCH_BYTES = 64 * 1024
"""Links set in one edit; more go in several."""

LINK_BYTES = 200
"""What a link takes beyond its name and metadata, roughly."""

MOST_EDITORS = 1024
MOST_IMMUTABLE_BYTES = 16 * 2**20
TRIES_TO_MAKE = 3


class Files(NamedTuple):
    """How immutable directories are kept: the client's way to read a whole file, and to store one."""

    read: Callable[[ImmutableRead | Literal], Awaitable[bytes]]
    store: Callable[[bytes, bytes | None], Awaitable[ImmutableRead | Literal]]


class Found(NamedTuple):
    """What a path leads to.

    Args:
        capability: with all the power that the way to it gives.
        entry: in the directory that it was found in; None for where the path starts.
        parent: that directory.
    """

    capability: Capability
    entry: Entry | None
    parent: Directory | None


class Directories:
    """Lists and edits directories.

    Args:
        ctx: of the client.
        slots: where mutable ones are kept.
        files: where immutable ones are.
    """

    def __init__(self, ctx: Context, slots: Slots, files: Files) -> None:
        self._ctx = ctx
        self._slots = slots
        self._files = files
        self._tables = Tables(ctx, slots)
        self._editors: OrderedDict[SlotWrite, Editor] = OrderedDict()
        self._immutable: OrderedDict[Capability, bytes] = OrderedDict()
        self._immutable_bytes = 0

    # --- looking --------------------------------------------------------------------------------------------

    async def list(self, directory: Capability) -> Listing:
        """The children of a directory.

        Raises:
            NotADirectory: it is none.
            BadCapability: it is of a kind that is not served here, or can't be read with this cap.
            CorruptDirectory: its contents make no sense.
            NotEnoughShares, RolledBack, CorruptFile: they can't be read.
        """
        file = _readable(directory)
        if isinstance(file, (ImmutableRead, Literal)):
            contents = await self._contents(file)
            return Listing(unpack_immutable(contents), immutable_entry, len(contents))
        seen = await self._tables.look(file)
        keyring = self._keyring(Directory(file))
        return Listing(seen.table.links, keyring.entry, seen.size, may_be_stale=seen.may_be_stale)

    async def get(self, directory: Capability, name: str) -> Entry:
        """One child.

        Raises:
            NoSuchChild: there is none of this name.
            Others: as ``list``.
        """
        listing = await self.list(directory)
        try:
            return listing[name]
        except KeyError:
            raise NoSuchChild(f"there is no child named {name!r}") from None

    async def lookup(self, start: Capability, path: Iterable[str]) -> Found:
        """What a path leads to; an empty one, to where it starts.

        Raises:
            NoSuchChild, NotADirectory: it leads nowhere; the message names the place.
            Others: as ``list``.
        """
        found = Found(start, None, None)
        for name in path:
            if not isinstance(found.capability, Directory):
                raise NotADirectory(f"{name!r} is looked for in something that is no directory")
            entry = await self.get(found.capability, name)
            found = Found(entry.capability, entry, found.capability)
        return found

    async def _contents(self, file: ImmutableRead | Literal) -> bytes:
        """The table of an immutable directory, from memory if it was read lately."""
        known = self._immutable.pop(file, None)
        if known is None:
            known = await self._files.read(file)
            self._immutable_bytes += len(known)
        self._immutable[file] = known
        while self._immutable_bytes > MOST_IMMUTABLE_BYTES:
            self._immutable_bytes -= len(self._immutable.popitem(last=False)[1])
        return known

    # --- making ---------------------------------------------------------------------------------------------

    async def create(self, children: Mapping[str, NewChild] | None = None) -> Directory:
        """Make a directory that nothing links to yet.

        Raises:
            BadName: of a child.
            BadCapability: of a child, unknown and without its read-only form.
            NotEnoughServers: too few servers took it.
        """
        named = _checked(children or {})
        made: dict[SlotWrite, DirectoryTable] = {}
        texts = {name: child.texts() for name, child in named.items()}
        now = self._ctx.wall_time()

        def contents_for(slot: SlotWrite) -> bytes:
            keyring = self._keyring(Directory(slot))
            links = {
                name: linked((keyring.seal(write), read), None, named[name].metadata, now)
                for name, (write, read) in texts.items()
            }
            made[slot] = DirectoryTable(links)
            return made[slot].contents

        slot = await self._slots.create_for(contents_for, DIRECTORY_SEGMENT)
        self._tables.keep_held(slot.storage_index, made[slot])
        return Directory(slot)

    async def create_immutable(self, children: Mapping[str, NewChild], convergence: bytes | None) -> Directory:
        """Make an immutable directory; everything in it must be immutable all the way down.

        Metadata are kept as they are given and nothing of the day is added: equal directories are one capability.

        Args:
            children: by name.
            convergence: the convergence secret; None for a random key.

        Raises:
            BadName: of a child.
            BadCapability: of a child, mutable or unknown.
            NotEnoughServers: the table could not be stored.
        """
        table = {
            name: Child(str(_immutable(child)), child.metadata or {}) for name, child in _checked(children).items()
        }
        file = await self._files.store(pack_immutable(table), convergence)
        return Directory(file)

    async def mkdir(
        self,
        parent: Directory,
        name: str,
        children: Mapping[str, NewChild] | None = None,
        replace: Replace = Replace.NEVER,
    ) -> Directory:
        """Make a directory in a directory.

        Raises:
            ChildExists: there is something of this name already.
            Others: as ``create`` and ``set_children``.
        """
        check_name(name)
        _writeable(parent)
        made = await self.create(children)
        await self.set_children(parent, {name: NewChild(made)}, replace)
        return made

    async def make_path(self, start: Directory, path: Iterable[str]) -> Directory:
        """The directory that a path leads to; what is missing of it is made.

        Raises:
            NotADirectory: it leads through something that is none.
            Others: as ``mkdir`` and ``list``.
        """
        directory = start
        for name in path:
            directory = await self._make_step(directory, name)
        return directory

    async def _make_step(self, parent: Directory, name: str) -> Directory:
        for _ in range(TRIES_TO_MAKE):
            try:
                found = (await self.get(parent, name)).capability
            except NoSuchChild:
                try:
                    return await self.mkdir(parent, name)
                except Conflict:
                    continue  # somebody else was quicker; so there is one now
            if not isinstance(found, Directory):
                raise NotADirectory(f"{name!r} is no directory")
            return found
        raise Conflict(f"{name!r} comes and goes")

    # --- changing -------------------------------------------------------------------------------------------

    async def set_children(
        self, directory: Capability, children: Mapping[str, NewChild], replace: Replace = Replace.ALWAYS
    ) -> None:
        """Link children, all at once as long as they are not very many.

        Raises:
            ChildExists: one of them is there, and not to be replaced.
            Conflict: somebody else has just changed one of them; his stands.
            Indefinite: some or all may have been linked, or will be.
            BadName, BadCapability: one can't be linked, or the directory's cap is read-only.
            Others: as ``list``; NotEnoughServers: too few homes of the directory are in reach.
        """
        slot = _writeable(directory)
        sealed = self._sealed(slot, _checked(children))
        for some in _batches(sealed):
            await self._edit(slot, SetLinks(some, replace, self._ctx.wall_time()))

    async def unlink(
        self, directory: Capability, name: str, kind: Kind = Kind.ANY, *, missing_ok: bool = False
    ) -> None:
        """Take a child out. What it leads to stays where it is until its leases end.

        Raises:
            NoSuchChild: there is none.
            NotADirectory, ChildExists: it is not of the kind that it has to be.
            Others: as ``set_children``.
        """
        await self._edit(_writeable(directory), Unlink(normal_name(name), kind, missing_ok=missing_ok))

    async def rename(self, directory: Capability, old: str, new: str, replace: Replace = Replace.ALWAYS) -> None:
        """Give a child another name, at one stroke.

        Raises:
            NoSuchChild: there is none.
            ChildExists: the new name is taken, and not to be replaced.
            Others: as ``set_children``.
        """
        slot = _writeable(directory)
        await self._edit(slot, Rename(normal_name(old), check_name(new), replace, self._ctx.wall_time()))

    async def move(
        self, source: Directory, old: str, target: Directory, new: str, replace: Replace = Replace.ALWAYS
    ) -> None:
        """Move a child from one directory to another: first it is linked there, then taken out here.

        Interrupted between the two, it is in both places; done again, the move is finished. If the old name has been
        given to something else meanwhile, that stays.

        Raises:
            NoSuchChild: there is none.
            ChildExists: the new name is taken by something else, and not to be replaced.
            Others: as ``set_children``.
        """
        if _writeable(source) == _writeable(target):
            await self.rename(source, old, new, replace)
            return
        entry = await self.get(source, old)
        child = NewChild(entry.capability, entry.read, entry.metadata)
        sealed = self._sealed(_writeable(target), {check_name(new): child})
        await self._edit(_writeable(target), SetLinks(sealed, replace, self._ctx.wall_time(), resumed=True))
        read = sealed[check_name(new)].read
        await self._edit(_writeable(source), Unlink(normal_name(old), read=read, missing_ok=True))

    async def _edit(self, slot: SlotWrite, operation: Operation) -> None:
        editor = self._editors.get(slot)
        if editor is None:
            if len(self._editors) >= MOST_EDITORS:
                self._editors = OrderedDict((key, each) for key, each in self._editors.items() if not each.is_idle)
            editor = self._editors[slot] = Editor(self._ctx, self._slots, self._tables, slot)
        await editor.make(operation)

    # --- helpers --------------------------------------------------------------------------------------------

    def _keyring(self, directory: Directory) -> Keyring:
        return Keyring(directory, lambda: self._ctx.rng.randbytes(NONCE_SIZE))

    def _sealed(self, slot: SlotWrite, children: Mapping[str, NewChild]) -> dict[str, Sealed]:
        keyring = self._keyring(Directory(slot))
        texts = {name: child.texts() for name, child in children.items()}
        return {
            name: Sealed(keyring.seal(write), read, children[name].metadata) for name, (write, read) in texts.items()
        }


def _readable(capability: Capability) -> SlotRead | SlotWrite | ImmutableRead | Literal:
    """The file that holds a directory's table."""
    if isinstance(capability, Unknown):
        capability.check_served()
    if not isinstance(capability, Directory):
        raise NotADirectory("this is the capability of something that is no directory")
    capability.check_served()
    if not isinstance(capability.file, (SlotRead, SlotWrite, ImmutableRead, Literal)):
        raise BadCapability("this capability checks and repairs the directory; listing it takes one that reads")
    return capability.file


def _writeable(capability: Capability) -> SlotWrite:
    """The slot of a directory that the cap may change."""
    file = _readable(capability)
    if isinstance(file, SlotWrite):
        return file
    what = (
        "reads the directory; changing it takes its write capability"
        if file.mutable
        else "is of an immutable directory"
    )
    raise ReadOnly(f"this capability {what}")


def _checked(children: Mapping[str, NewChild]) -> dict[str, NewChild]:
    """The children by their names in normal form."""
    checked = {check_name(name): child for name, child in children.items()}
    if len(checked) < len(children):
        raise ChildExists("two of the names are the same after normalisation")
    return checked


def _immutable(child: NewChild) -> Capability:
    """The cap of a child of an immutable directory."""
    if isinstance(child.capability, Unknown):
        alleged = None if child.read is None else str(child.read)
        _, read = unknown_child(str(child.capability), alleged, deep_immutable=True)
        return parse(str(read), deep_immutable=True)
    capability = parse(str(child.capability), deep_immutable=True)
    if isinstance(capability, Unknown):
        capability.check_served()
    return capability


def _batches(children: Mapping[str, Sealed]) -> Iterable[dict[str, Sealed]]:
    """Children in groups, each of which makes one edit."""
    some: dict[str, Sealed] = {}
    size = 0
    for name, child in children.items():
        weight = LINK_BYTES + len(name.encode()) + len(child.read) + len(json.dumps(child.metadata))
        if some and size + weight > BATCH_BYTES:
            yield some
            some, size = {}, 0
        some[name] = child
        size += weight
    if some:
        yield some
