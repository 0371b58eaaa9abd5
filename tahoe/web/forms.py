"""Uploads by form: several files with relative paths, taken in one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tahoe.actors.children import NewChild
from tahoe.actors.edits import Replace
from tahoe.codec.capability import Capability, Directory
from tahoe.errors import ChildExists, NoSuchChild
from tahoe.web.calls import Call, json_answer, text_answer
from tahoe.web.errors import WebError
from tahoe.web.files import slot_to_write, store
from tahoe.web.keeping import Incoming, Kept, keep, overwrite_slot
from tahoe.web.linking import make_directory, writeable
from tahoe.web.multipart import FilePart, file_parts
from tahoe.web.places import checked_path, find

if TYPE_CHECKING:
    from starlette.types import ASGIApp


class Uploaded(NamedTuple):
    """One file of a form that was stored and linked."""

    path: tuple[str, ...]
    kept: Kept


async def upload(call: Call) -> ASGIApp:
    """Store the files of a form below a directory, by the relative paths that stand in their file names.

    At a place where a file or a slot is, the first of them takes its place.
    """
    if await _is_file(call):
        async for part in file_parts(call):
            return await store(call, Incoming(part, None, part.filename))
        raise WebError(400, "the form has no file in it")
    home = writeable((await make_directory(call.services.client, call.place))[0])
    wanted = call.query.get("name")
    landing = _Landing(call, home)
    files = [await landing.take(part, wanted) async for part in file_parts(call)]
    if not files:
        raise WebError(400, "the form has no file in it")
    if len(files) == 1 and "application/json" not in call.headers.get("accept", ""):
        return text_answer(files[0].kept.capability, 201)
    told = [{"path": file.path, "cap": str(file.kept.capability), "new": file.kept.is_new} for file in files]
    return json_answer({"files": told}, 201)


async def _is_file(call: Call) -> bool:
    """Whether something is at the call's place that is no directory."""
    try:
        return not isinstance((await find(call.services.client, call.place)).capability, Directory)
    except NoSuchChild:
        return False


async def upload_unlinked(call: Call) -> ASGIApp:
    """Store the file of a form; nothing links to it."""
    async for part in file_parts(call):
        kept = await keep(call, Incoming(part, None, part.filename))
        return text_answer(kept.capability, 201)
    raise WebError(400, "the form has no file in it")


class _Landing:
    """Where the files of one form go. Directories that were found once are not looked up again."""

    def __init__(self, call: Call, home: Directory) -> None:
        self._call = call
        self._directories: dict[tuple[str, ...], Directory] = {(): home}

    async def take(self, part: FilePart, wanted: str | None) -> Uploaded:
        """Store one file and link it."""
        path = relative_path(wanted or part.filename)
        there = await self._there(path)
        self._refuse_early(path, there)
        coming = Incoming(part, None, path[-1])
        slot = slot_to_write(self._call, there)
        if slot is not None:
            await overwrite_slot(self._call.services, slot, coming)
            return Uploaded(path, Kept(slot, is_new=False))
        kept = await keep(self._call, coming)
        parent = await self._directory(path[:-1])
        directories = self._call.services.client.directories
        await directories.set_children(parent, {path[-1]: NewChild(kept.capability)}, self._call.replace)
        return Uploaded(path, kept)

    async def _there(self, path: tuple[str, ...]) -> Capability | None:
        """What has a file's path already."""
        try:
            return (await self._call.services.client.directories.lookup(self._directories[()], path)).capability
        except NoSuchChild:
            return None

    def _refuse_early(self, path: tuple[str, ...], there: Capability | None) -> None:
        """Refuse a file that may not be linked in the end before it comes."""
        replace = self._call.replace
        if there is None or replace is Replace.ALWAYS:
            return
        if replace is Replace.NEVER or isinstance(there, Directory):
            raise ChildExists(f"there is a child named {path[-1]!r} already")

    async def _directory(self, path: tuple[str, ...]) -> Directory:
        if path not in self._directories:
            self._directories[path] = await self._call.services.client.directories.make_path(
                self._directories[()], path
            )
        return self._directories[path]


def relative_path(filename: str) -> tuple[str, ...]:
    """Return the names that a file name of a form is made of.

    Raises:
        WebError: 400, it leads out of the directory or nowhere.
    """
    names = [name for name in filename.split("/") if name != "."]
    if not names or ".." in names:
        raise WebError(400, f"{filename!r} is no path below the directory")
    return checked_path(names)
