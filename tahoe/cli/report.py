"""What a running node says of itself to ``tahoe status``: JSON over a loopback socket that wants a password.

Every node has this, whatever its roles; a storage server should not carry a web server for it. The file
``private/report`` holds port and password, so whoever may read the node's secrets may ask.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

REPORT_FILE: Final = Path("private") / "report"
PATIENCE: Final = 10.0
LONGEST_PASSWORD: Final = 100

Report = Callable[[], Mapping[str, Any]]


class Reporter:
    """Answers ``tahoe status`` for one node. Made by :meth:`start`."""

    def __init__(self, server: asyncio.Server, file: Path) -> None:
        self._server = server
        self._file = file

    @classmethod
    async def start(cls, directory: Path, report: Report) -> Reporter:
        """Listen, and write down where."""
        password = secrets.token_hex(16)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                async with asyncio.timeout(PATIENCE):
                    given = await reader.readline()
                    if hmac.compare_digest(given.strip(), password.encode()):
                        writer.write(json.dumps(report()).encode())
                        await writer.drain()
            except (OSError, TimeoutError, ValueError):
                pass  # who asks sees an empty answer
            finally:
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=LONGEST_PASSWORD)
        file = directory / REPORT_FILE
        _write_private(file, f"{server.sockets[0].getsockname()[1]} {password}\n")
        return cls(server, file)

    async def stop(self) -> None:
        """Listen no more."""
        self._file.unlink(missing_ok=True)
        self._server.close()
        await self._server.wait_closed()


def ask_for_report(directory: Path) -> dict[str, Any] | None:
    """Return what the node that runs in a directory says of itself; None if it does not answer."""
    try:
        port, password = (directory / REPORT_FILE).read_text(encoding="ascii").split()
        with socket.create_connection(("127.0.0.1", int(port)), timeout=PATIENCE) as connection:
            connection.sendall(password.encode() + b"\n")
            answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        found = json.loads(answer)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
