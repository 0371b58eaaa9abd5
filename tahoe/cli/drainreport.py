"""The running node's answer about how far it is with leaving: for ``tahoe drain``."""

from __future__ import annotations

from typing import Any

from tahoe.actors.drainer import Drained, Drainer
from tahoe.net.incarnation import Incarnation
from tahoe.protocol import DRAINER


class DrainReport:
    """Answers of one node.

    Args:
        running: the node.
    """

    def __init__(self, running: Incarnation) -> None:
        self._running = running

    async def tell(self, words: list[str]) -> dict[str, Any]:
        """How far it is; with "now" it looks at once."""
        drainer = self._running.actors.get(DRAINER)
        if not isinstance(drainer, Drainer):
            return {"drain": None}
        if words == ["now"]:
            drainer.hurry()
            self._running.announcement()
        under_way = None if drainer.now is None else _described(drainer.now)
        notice = self._running.papers.directory.leave_notice()
        return {"drain": {**_described(drainer.last), "under_way": under_way, "copies_from": notice}}


def _described(drained: Drained) -> dict[str, Any]:
    return {
        "shares": drained.shares,
        "elsewhere": drained.elsewhere,
        "left": drained.left,
        "spoilt": drained.spoilt,
        "copied": drained.copied,
        "bytes": drained.bytes,
        "trouble": drained.trouble,
        "ended": drained.ended,
        "done": drained.done,
    }
