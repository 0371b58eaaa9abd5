"""Telling somebody that the state of what is looked after has changed: a command, a webhook, or both.

Both run in a thread of their own and may fail without harm: the caretaker goes on, and the log says why.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tahoe.actors.carereport import CareReport
from tahoe.errors import BadConfiguration
from tahoe.net.careconfig import CareSection

PATIENCE: Final = 60.0
"""Seconds that a command or a webhook may take."""

WEB: Final = ("http://", "https://")


def alarm_of(section: CareSection) -> Callable[[CareReport], None]:
    """What is called with every change.

    Raises:
        BadConfiguration: the webhook is no address, or the command can't be read.
    """
    if section.webhook and not section.webhook.startswith(WEB):
        raise BadConfiguration(f"[care] webhook: {section.webhook!r} is no http or https address")
    try:
        command = shlex.split(section.on_change)
    except ValueError as error:
        raise BadConfiguration(f"[care] on_change: {error}") from error

    def tell(report: CareReport) -> None:
        if command:
            _begin(_run, [*command, report.state.value])
        if section.webhook:
            _begin(_post, section.webhook, json.dumps(report.as_json()).encode())

    return tell


def _begin(function: Callable[..., None], *args: object) -> None:
    threading.Thread(target=function, args=args, daemon=True).start()


def _run(command: list[str]) -> None:
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(command, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL)  # noqa: S603  # the operator's own


def _post(address: str, body: bytes) -> None:
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310  # checked above
    with suppress(OSError), urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310  # checked above
        return
