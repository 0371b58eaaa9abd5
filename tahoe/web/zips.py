"""A directory as one zip file, made while it is sent: nothing of it ever waits on a disk.

Names come from anybody who may write to the directory, and whoever unpacks the file trusts them. So none can climb out of
the folder that it is unpacked into, or mean a device or another path on any system; those that are the same
after that get a number. Directories below themselves are left out; what is linked twice is there twice.
"""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tahoe.actors.children import Entry
from tahoe.codec.capability import Capability, Directory, ImmutableRead, Literal, SlotRead, SlotWrite
from tahoe.web.calls import NOT_KEPT, Call
from tahoe.web.content import while_connected
from tahoe.web.errors import WebError
from tahoe.web.manner import Manner
from tahoe.web.places import directory_at
from tahoe.web.services import Services

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MOST_ENTRIES: Final = 200_000
"""More than this comes of a tree that multiplies itself by links."""

FLUSH_BYTES: Final = 64 * 1024
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069/\\:*?"<>|]')
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST_NAME: Final = 200
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)


async def zip_directory(call: Call) -> ASGIApp:
    """Send a directory with all that is below it as a zip file."""
    directory = await directory_at(call.services.client, call.place)
    await call.services.client.directories.list(directory)  # what can't be read should fail before an answer begins
    return ZipAnswer(call.services, directory, call.place.name or "directory")


class ZipAnswer:
    """A directory on its way as a zip file. One that breaks off has no end, which every program notices."""

    def __init__(self, services: Services, directory: Directory, name: str) -> None:
        self._services = services
        self._directory = directory
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await while_connected(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        headers = {**NOT_KEPT, **Manner(f"{safe_name(self._name)}.zip", save=True).headers()}
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        with self._services.transfers.watch("download", f"{self._name}.zip") as transfer:
            async with aclosing(zipped(self._services, self._directory)) as pieces:
                async for piece in pieces:
                    transfer.moved += len(piece)
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Item(NamedTuple):
    """One thing to be packed: its path in the zip file, and how it is linked."""

    path: str
    entry: Entry


class _Pipe:
    """A file that can only be written to; what was written is taken out again piece by piece."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        pass

    def take(self, least: int = 1) -> bytes:
        """Return all that was written, if it is at least so much."""
        if len(self._written) < least:
            return b""
        taken = bytes(self._written)
        self._written.clear()
        return taken


async def zipped(services: Services, directory: Directory) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of a zip file of all that is below a directory. Nothing is compressed: it is on its way already."""
    pipe = _Pipe()
    async with aclosing(items_below(services, directory)) as items:
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:  # type: ignore[call-overload]  # it only writes
            async for item in items:
                async with aclosing(_pack(services, archive, item)) as pauses:
                    async for _ in pauses:
                        if piece := pipe.take(FLUSH_BYTES):
                            yield piece
    yield pipe.take()


async def _pack(services: Services, archive: zipfile.ZipFile, item: Item) -> AsyncGenerator[None, None]:
    """Pack one thing, pausing after every piece."""
    cap = item.entry.capability
    info = zipfile.ZipInfo(item.path, _moment(item.entry))
    if isinstance(cap, Directory):
        info.external_attr = 0o40755 << 16 | 0x10  # the second is MS-DOS's word for a directory
        archive.writestr(info, b"")
        yield
        return
    info.external_attr = 0o100644 << 16
    with archive.open(info, "w", force_zip64=True) as file:
        async for piece in contents(services, cap):
            file.write(piece)
            yield
    yield


async def contents(services: Services, cap: Capability) -> AsyncGenerator[bytes, None]:
    """Yield the contents of a file; nothing for what can't be read here by its kind."""
    match cap:
        case Literal(data):
            yield data
        case ImmutableRead():
            async with services.client.download(cap) as pieces:
                async for piece in pieces:
                    yield piece
        case SlotRead() | SlotWrite():
            async for piece in await services.client.slots.stream(cap):
                yield piece


async def items_below(services: Services, directory: Directory) -> AsyncGenerator[Item, None]:
    """Yield everything below a directory, parents first, with safe paths.

    Raises:
        WebError: there is too much.
    """
    above: list[Capability | None] = [directory.verifier()]
    stack = [("", _named(list((await services.client.directories.list(directory)).values())))]
    count = 0
    while stack:
        prefix, children = stack[-1]
        named = next(children, None)
        if named is None:
            stack.pop()
            above.pop()
            continue
        count += 1
        if count > MOST_ENTRIES:
            raise WebError(413, f"there are more than {MOST_ENTRIES} files below this directory")
        name, entry = named
        cap = entry.capability
        if not isinstance(cap, Directory):
            yield Item(prefix + name, entry)
        elif cap.verifier() is None or cap.verifier() not in above:
            yield Item(f"{prefix}{name}/", entry)
            above.append(cap.verifier())
            stack.append((f"{prefix}{name}/", _named(list((await services.client.directories.list(cap)).values()))))


def _named(entries: list[Entry]) -> Iterator[tuple[str, Entry]]:
    """Yield entries with safe names, no two the same, not even where case does not count."""
    taken: set[str] = set()
    for entry in entries:
        name = free = safe_name(entry.name)
        number = 1
        while free.casefold() in taken:
            number += 1
            stem, dot, ending = name.rpartition(".")
            free = f"{stem} ({number}).{ending}" if dot and stem else f"{name} ({number})"
        taken.add(free.casefold())
        yield free, entry


def safe_name(name: str) -> str:
    """Return a name that is one name, and nothing but a name, on every system."""
    safe = _UNSAFE.sub("_", name).rstrip(". ") or "_"
    if len(safe.encode()) > _LONGEST_NAME:
        safe = safe.encode()[:_LONGEST_NAME].decode(errors="ignore")
    return f"_{safe}" if _DEVICES.fullmatch(safe) else safe


def _moment(entry: Entry) -> tuple[int, int, int, int, int, int]:
    """Return when the link was changed, as far as a zip file can say."""
    tahoe = entry.metadata.get("tahoe")
    when = tahoe.get("linkmotime") if isinstance(tahoe, dict) else None
    if not isinstance(when, int | float) or not 315_619_200 <= when < 4_354_819_200:  # 1980 to 2107
        return _EARLIEST
    year, month, day, hour, minute, second = time.gmtime(when)[:6]
    return year, month, day, hour, minute, second
