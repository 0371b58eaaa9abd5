"""The running node's side of ``report.py``: a loopback socket that tells the node's state to whoever has the password."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tahoe.cli.report import PATIENCE, REPORT_FILE

LONGEST_QUESTION: Final = 8000
"""Bytes of password, question and arguments."""

Report = Callable[[], Awaitable[Mapping[str, Any]]]
Answer = Callable[[list[str]], Awaitable[Mapping[str, Any]]]


NO_ANSWERS: Final[Mapping[str, Answer]] = {}


class Reporter:
    """Answers ``tahoe status`` for one node. Made by :meth:`start`."""

    def __init__(self, server: asyncio.Server, file: Path) -> None:
        self._server = server
        self._file = file

    @classmethod
    async def start(cls, directory: Path, report: Report, answers: Mapping[str, Answer] = NO_ANSWERS) -> Reporter:
        """Listen, and write down where.

        Args:
            directory: of the node.
            report: tells its state.
            answers: to other questions, by their first word; each is handed the words after it.
        """
        password = secrets.token_hex(16)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                async with asyncio.timeout(PATIENCE):
                    given, *question = (await reader.readline()).decode("ascii", "replace").split() or [""]
                    if hmac.compare_digest(given.encode(), password.encode()):
                        told = await (answers[question[0]](question[1:]) if question else report())
                        writer.write(json.dumps(told).encode())
                        await writer.drain()
            except (OSError, TimeoutError, LookupError, ValueError):
                pass  # who asks sees an empty answer
            finally:
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=LONGEST_QUESTION)
        file = directory / REPORT_FILE
        _write_private(file, f"{server.sockets[0].getsockname()[1]} {password}\n")
        return cls(server, file)

    async def stop(self) -> None:
        """Listen no more."""
        self._file.unlink(missing_ok=True)
        self._server.close()
        await self._server.wait_closed()


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
