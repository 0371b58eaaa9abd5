"""A file of many gigabytes through a grid of real processes, and how much memory each of them needed for it.

::

    python -m tests.real.large --megabytes 5000

stores a file of 300 MB and one of the size asked for, reads each back in full while another reader has stalled, and
prints every process's peak memory after each. It fails if wrong bytes come or if any process needed much more
for the second file. The disk must have room for 3.4 times the file, in the directory for temporary files.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.real.grid import BROKER, CLIENT_NAME, MEGABYTE, RealGrid

FIRST_BYTES = 300 * MEGABYTE
"""Enough for all windows and caches to have been full once."""
GROWTH = 40 * MEGABYTE
"""Bytes by which caches and the like may differ."""

_PIECE = MEGABYTE


def carry(grid: RealGrid, size: int) -> dict[str, int]:
    """Store a file with a random key, let one reader stall and another take all of it.

    Returns:
        Peak memory in bytes of client, servers and broker since they started.
    """
    content = Content(size)
    cap = content.put(grid)
    with socket.create_connection(grid.gateway.address, timeout=60) as stalled:
        stalled.sendall(f"GET /uri/{cap} HTTP/1.0\r\n\r\n".encode())
        assert stalled.recv(100)
        assert content.is_what_comes(grid, cap), "wrong bytes came"
    peaks = {name: grid.peak_memory(name) for name in (CLIENT_NAME, *grid.server_names)}
    return peaks | {BROKER: grid.broker_memory()}


class Content:
    """Bytes that look random and are never held whole."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._digest = hashlib.sha256()

    def put(self, grid: RealGrid) -> str:
        """Store them; the capability."""
        gateway = grid.gateway
        headers = {"Authorization": f"Bearer {gateway.token}", "Content-Length": str(self._size)}
        connection = http.client.HTTPConnection(*gateway.address, timeout=600)
        connection.request("PUT", "/uri?convergence=none", self._pieces(), headers)
        reply = connection.getresponse()
        text = reply.read().decode().strip()
        connection.close()
        assert reply.status == 201, text
        return text

    def is_what_comes(self, grid: RealGrid, cap: str) -> bool:
        """Whether these are the bytes that a capability brings."""
        connection = http.client.HTTPConnection(*grid.gateway.address, timeout=600)
        connection.request("GET", f"/uri/{cap}")
        reply = connection.getresponse()
        digest = hashlib.sha256()
        while piece := reply.read(_PIECE):
            digest.update(piece)
        connection.close()
        return digest.digest() == self._digest.digest()

    def _pieces(self) -> Iterator[bytes]:
        for start in range(0, self._size, _PIECE):
            seed = b"%d of %d" % (start, self._size)
            piece = hashlib.shake_128(seed).digest(min(_PIECE, self._size - start))
            self._digest.update(piece)
            yield piece


def main() -> None:
    """Do it and tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--megabytes", type=int, default=5000, help="size of the large file; default: 5000")
    large = parser.parse_args().megabytes * MEGABYTE
    with tempfile.TemporaryDirectory(prefix="tahoe-large-") as directory, RealGrid(Path(directory) / "grid") as grid:
        grid.up()
        first = _told(grid, FIRST_BYTES)
        second = _told(grid, large)
    grown = [name for name, peak in second.items() if peak > first[name] + GROWTH]
    assert not grown, f"these need more memory for a larger file: {', '.join(grown)}"
    print("memory is flat")  # noqa: T201  # what this program is for


def _told(grid: RealGrid, size: int) -> dict[str, int]:
    began = time.monotonic()
    peaks = carry(grid, size)
    seconds = time.monotonic() - began
    table = ", ".join(f"{name} {peak // MEGABYTE}" for name, peak in peaks.items())
    print(f"{size // MEGABYTE} MB in and out in {seconds:.0f} s; peak memory in MB: {table}")  # noqa: T201  # (same)
    return peaks


if __name__ == "__main__":
    main()
