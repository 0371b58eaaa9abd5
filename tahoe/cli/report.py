"""What a running node says of itself to ``tahoe status``: JSON over a loopback socket that wants a password.

Every node has this, whatever its roles; a storage server should not carry a web server for it. The file
``private/report`` holds port and password, so whoever may read the node's secrets may ask. This is the side that
asks, and it needs no asyncio; ``reporter.py`` is the one that answers.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Final

REPORT_FILE: Final = Path("private") / "report"
PATIENCE: Final = 10.0
"""Seconds for all of it, on either side."""


def ask_for_report(directory: Path, *question: str) -> dict[str, Any] | None:
    """Return what the node that runs in a directory says of itself; None if it does not answer.

    Args:
        directory: of the node.
        question: what it is asked, and its arguments, words without spaces; none: for its state.
    """
    try:
        port, password = (directory / REPORT_FILE).read_text(encoding="ascii").split()
        with socket.create_connection(("127.0.0.1", int(port)), timeout=PATIENCE) as connection:
            connection.sendall(" ".join((password, *question)).encode() + b"\n")
            answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        found = json.loads(answer)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
