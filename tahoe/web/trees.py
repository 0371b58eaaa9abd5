"""Whole trees: a manifest as a stream, and statistics, without ever holding a tree in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tahoe.actors.directories import Directories
from tahoe.actors.tree import DeepStatistics, Visit, Walk
from tahoe.codec import base32
from tahoe.codec.capability import Capability, Directory, ImmutableRead, Literal, Unknown
from tahoe.web.calls import NOT_KEPT, Call, json_answer, text_answer
from tahoe.web.content import while_connected
from tahoe.web.errors import account_of
from tahoe.web.jobs import Job, Work
from tahoe.web.places import find
from tahoe.web.services import Services

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


async def stream_manifest(call: Call) -> ASGIApp:
    """Send one JSON object a line for everything in a tree, and statistics at the end."""
    root = (await find(call.services.client, call.place)).capability
    return LineStream(manifest_lines(call.services.client.directories, root))


async def manifest_lines(directories: Directories, root: Capability) -> AsyncIterator[bytes]:
    """Yield the lines of a manifest. A directory that can't be read has a line with an ``error``."""
    statistics = DeepStatistics()
    async for visit in walk(directories, root):
        statistics.add(visit)
        yield msgspec.json.encode(manifest_unit(visit)) + b"\n"
    yield msgspec.json.encode({"type": "stats", "stats": statistics_json(statistics)}) + b"\n"


async def walk(directories: Directories, root: Capability) -> AsyncIterator[Visit]:
    """Yield all that is in a tree. What can't be read below the root is told on the way.

    Raises:
        TahoeError: the root can't be read.
    """
    async for visit in Walk(directories, root):
        if visit.trouble is not None and not visit.path:
            raise visit.trouble
        yield visit


def manifest_unit(visit: Visit) -> dict[str, Any]:
    """Return what a manifest says of one object."""
    cap = visit.capability
    verifier, index = cap.verifier(), cap.storage_index
    unit: dict[str, Any] = {
        "type": _type_of(cap),
        "path": visit.path,
        "cap": str(cap),
        "verifycap": "" if verifier is None else str(verifier),
        "storage-index": "" if index is None else base32.encode(index),
    }
    if isinstance(cap, Literal | ImmutableRead):
        unit["size"] = len(cap.data) if isinstance(cap, Literal) else cap.size
    if visit.trouble is not None:
        unit["error"] = account_of(visit.trouble)["error"]
    return unit


def _type_of(cap: Capability) -> str:
    if isinstance(cap, Unknown):
        return "unknown"
    return "directory" if isinstance(cap, Directory) else "file"


class LineStream:
    """An answer of lines that are made as fast as they are taken. One that breaks off lacks its last line."""

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all lines."""
        await while_connected(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        headers = {"Content-Type": "application/x-ndjson", **NOT_KEPT}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        first = await anext(self._lines)  # before anything is sent, so that a lost root is an error
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for line in self._lines:
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


# --- statistics --------------------------------------------------------------------------------------------


async def deep_statistics(call: Call) -> ASGIApp:
    """Count everything in a tree."""
    root = (await find(call.services.client, call.place)).capability
    return json_answer(statistics_json(await _count_while_connected(call, root)))


async def deep_size(call: Call) -> ASGIApp:
    """Answer the bytes of all files and directory tables in a tree."""
    root = (await find(call.services.client, call.place)).capability
    return text_answer(total_size(await _count_while_connected(call, root)))


async def _count_while_connected(call: Call, root: Capability) -> DeepStatistics:
    """Count for as long as somebody waits for it; a job goes on without."""
    return await while_connected(call.receive, _count(call.services, root, {}))


async def _count(services: Services, root: Capability, progress: dict[str, Any]) -> DeepStatistics:
    statistics = DeepStatistics()
    async for visit in walk(services.client.directories, root):
        statistics.add(visit)
        progress["objects"] = sum(statistics.counts.values()) - statistics.counts["unreadable"]
        progress["path"] = "/".join(visit.path)
    return statistics


def total_size(statistics: DeepStatistics) -> int:
    """Return the bytes of all that is in a tree, the contents of slots apart."""
    return sum(statistics.sizes[kind] for kind in ("directories", "immutable-files", "literal-files"))


def statistics_json(statistics: DeepStatistics) -> dict[str, Any]:
    """Return statistics under the names that Tahoe-LAFS gives them, and ``count-unreadable``."""
    counts, sizes, largest = statistics.counts, statistics.sizes, statistics.largest
    files = ("immutable-files", "literal-files", "mutable-files")
    return {
        **{f"count-{kind}": counts[kind] for kind in (*files, "directories", "unknown", "unreadable")},
        "count-files": sum(counts[kind] for kind in files),
        **{f"size-{kind}": sizes[kind] for kind in ("directories", "immutable-files", "literal-files")},
        "largest-directory": largest.get("directories", 0),
        "largest-directory-children": largest.get("children", 0),
        "largest-immutable-file": largest.get("immutable-files", 0),
        "size-files-histogram": _histogram(statistics.histogram),
    }


def _histogram(counts: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """Return (smallest, largest, how many) for each power of two."""
    return [((1 << bits) >> 1, max(0, (1 << bits) - 1), count) for bits, count in sorted(counts.items())]


# --- as jobs -----------------------------------------------------------------------------------------------


def statistics_job(services: Services, root: Capability) -> Work:
    """Return the work of counting everything in a tree."""

    async def work(job: Job) -> dict[str, Any]:
        return statistics_json(await _count(services, root, job.progress))

    return work


def size_job(services: Services, root: Capability) -> Work:
    """Return the work of measuring a tree."""

    async def work(job: Job) -> dict[str, Any]:
        return {"size": total_size(await _count(services, root, job.progress))}

    return work
