"""Bodies of uploads as sources that an uploader can read twice.

A convergent key is the hash of the whole file, so the first share can be made only after the last byte has come:
the file has to wait somewhere. A small one waits in memory, any other in a file in the node directory that has
no name (a crash leaves nothing behind) and that nobody else can open::

    browser ──> Body ──┬──> first reading (hashes)
                       └──> spool ──> second reading (encodes)

Both happen at once: the hashing pass reads the network and what it has read goes to the disk in a thread,
one piece ahead at most. A body for a random key needs no hash and is never spooled.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol, TypeVar

from tahoe.errors import NoSpace, StorageFailed
from tahoe.web.errors import ClientGone, WebError

if TYPE_CHECKING:
    from starlette.types import Receive

T = TypeVar("T")

SMALL: Final = 1 << 20
"""Bodies up to this many bytes stay in memory."""

PIECE: Final = 1 << 20
"""Bytes moved at a time where nobody asks for another length."""

PATIENCE: Final = 300.0
"""Seconds without a byte after which an upload is given up, with whatever it holds on servers."""


class Readable(Protocol):
    """Bytes that are on their way."""

    async def read(self, length: int) -> bytes:
        """Return the next ``length`` bytes, fewer only at the end."""


class Body:
    """The body of one request, read no faster than it is asked for: what is not asked for waits in the sender."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._pieces: list[bytes] = []
        self._length = 0
        self._more = True

    async def read(self, length: int) -> bytes:
        """Return the next ``length`` bytes, fewer only at the end.

        Raises:
            ClientGone: the connection broke before the end.
            WebError: 408, nothing came for a long time.
        """
        while self._more and self._length < length:
            await self._pull()
        whole = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        taken = whole[:length]
        rest = whole[length:]
        self._pieces = [rest] if rest else []
        self._length = len(rest)
        return taken

    async def _pull(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                message = await self._receive()
        except TimeoutError:
            raise WebError(408, f"nothing came for {PATIENCE:.0f} s", {"Connection": "close"}) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        if piece:
            self._pieces.append(piece)
            self._length += len(piece)
        self._more = message.get("more_body", False)


class StreamedBody:
    """A source that is read once, straight from the network. ``size`` is its length in bytes."""

    def __init__(self, body: Readable, size: int) -> None:
        self.size: int | None = size
        self._body = body
        self._begun = False

    async def read(self, length: int) -> bytes:
        """Return the next bytes; empty at the end."""
        self._begun = True
        return await self._body.read(length)

    async def rewind(self) -> None:
        """Do nothing: what has been read is gone, so this may only be called before."""
        assert not self._begun, "a streamed body can't be read twice"


class SpooledBody:
    """A source that keeps what it reads from the network and can be read again. Made by :func:`spooled`."""

    def __init__(self, body: Readable, size: int | None, file: IO[bytes] | None) -> None:
        self.size = size
        self._body = body
        self._memory = bytearray()
        self._file = file
        self._kept = 0
        self._position = 0
        self._writing: asyncio.Future[None] | None = None

    async def fill(self) -> None:
        """Take in the whole body, after which ``size`` is known whatever the request said."""
        while await self.read(PIECE):
            pass
        await self.rewind()

    async def read(self, length: int) -> bytes:
        """Return the next bytes, from the network or from what was kept; empty at the end."""
        if self._position < self._kept:
            data = await self._kept_bytes(length)
        else:
            data = await self._body.read(length)
            await self._keep(data)
        self._position += len(data)
        return data

    async def rewind(self) -> None:
        """Start again from the first byte."""
        await self._settle()
        self._position = 0

    async def close(self) -> None:
        """Let go of the file, whatever became of it."""
        with suppress(NoSpace, StorageFailed):
            await self._settle()
        if self._file is not None:
            await _in_thread(self._file.close)

    async def _keep(self, data: bytes) -> None:
        """Append to what is kept; the disk may be one piece behind."""
        if not data:
            self.size = self._kept
            return
        if self._file is None:
            self._memory += data
            self._kept += len(data)
            return
        await self._settle()
        self._writing = _in_thread(_write_at, self._file, self._kept, data)
        self._kept += len(data)

    async def _kept_bytes(self, length: int) -> bytes:
        length = min(length, self._kept - self._position)
        if self._file is None:
            return bytes(self._memory[self._position : self._position + length])
        await self._settle()
        return await _in_thread(_read_at, self._file, self._position, length)

    async def _settle(self) -> None:
        """Wait until all that is kept is on its way to the disk."""
        if self._writing is None:
            return
        try:
            await self._writing
        except OSError as error:
            raise _disk_error(error) from error
        finally:
            self._writing = None


@asynccontextmanager
async def spooled(body: Readable, size: int | None, directory: Path) -> AsyncIterator[SpooledBody]:
    """Spool a body for as long as the context lasts; its ``size`` is known when this is entered.

    Args:
        body: what is to be uploaded.
        size: what the request says of its length, if anything.
        directory: where a body goes that is too large for memory.

    Raises:
        NoSpace, StorageFailed: the directory can't take it.
    """
    if size is not None and size <= SMALL:
        yield SpooledBody(body, size, None)
        return
    try:
        file = await _in_thread(_nameless_file, directory, size)
    except OSError as error:
        raise _disk_error(error) from error
    source = SpooledBody(body, size, file)
    try:
        if size is None:
            await source.fill()
        yield source
    finally:
        await source.close()


def _nameless_file(directory: Path, size: int | None) -> IO[bytes]:
    """Open a file that only this process can reach (``tempfile`` makes it 0600 and unlinks it at once)."""
    if size is not None and shutil.disk_usage(directory).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return tempfile.TemporaryFile(dir=directory, buffering=0)


def _read_at(file: IO[bytes], position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)


def _write_at(file: IO[bytes], position: int, data: bytes) -> None:
    file.seek(position)
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _in_thread(function: Callable[..., T], *args: object) -> asyncio.Future[T]:
    """Run something that may wait for the disk."""
    return asyncio.get_running_loop().run_in_executor(None, function, *args)


def _disk_error(error: OSError) -> NoSpace | StorageFailed:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return NoSpace(
            "the node's disk has no room to hold the upload until its key is known; ?convergence=none needs none"
        )
    return StorageFailed(f"the upload could not be kept on the node's disk: {error.strerror}")
