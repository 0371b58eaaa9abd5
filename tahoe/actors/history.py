"""The historian of a client node: what it has seen of servers outlives a restart.

Two things are kept: the *history* that downloads learn and choose by (``policy/history.py``), and the *uptime* of every
server as this node sees it (``policy/uptime.py``), which people and the laboratory read.
"""

from __future__ import annotations

from typing import Final

from tahoe.actors.membership import Membership
from tahoe.context import Actor, Context
from tahoe.errors import BadConfiguration
from tahoe.policy.history import History
from tahoe.policy.uptime import GONE, THERE, UptimeLog
from tahoe.protocol import HISTORIAN

HISTORY: Final = "history"
"""Name of the value that keeps the history."""

UPTIME: Final = "uptime"
"""Name of the value that is the uptime log."""

LOOK_EVERY: Final = 60.0
"""Seconds between two looks at who is there."""

KEEP_EVERY: Final = 10
"""Looks after which what was seen is kept."""


class Historian(Actor):
    """Keeps what one node sees of servers.

    Args:
        ctx: of this actor.
        membership: of the same node.

    Attributes:
        history: to be learnt from and asked.
        uptime: when servers were there.
    """

    role = HISTORIAN

    def __init__(self, ctx: Context, membership: Membership) -> None:
        super().__init__(ctx)
        self.history = History(ctx.wall_time)
        self.uptime = UptimeLog()
        self._membership = membership

    async def start(self) -> None:
        """Remember, and begin to look."""
        history, uptime = await self.ctx.state.get(HISTORY), await self.ctx.state.get(UPTIME)
        if history is not None:
            self.history.unpack(history)
        if uptime is not None:
            try:
                self.uptime = UptimeLog.unpack(uptime)
            except BadConfiguration:  # damaged: what was seen is lost, and what will be seen is not
                self.uptime = UptimeLog()
        self.ctx.spawn(self._look_on())

    def look(self) -> None:
        """See who is there now. Those of whom the network does not tell are left as they are."""
        now = self.ctx.wall_time()
        for server in self._membership.servers():
            present = self.ctx.presence(server.node)
            if present is not None:
                self.uptime.see(server.node, THERE if present else GONE, now)

    async def keep(self) -> None:
        """Make it outlive this run. Until the next one has looked, nothing is known."""
        now = self.ctx.wall_time()
        closed = UptimeLog.unpack(self.uptime.pack())
        closed.look_away(now)
        await self.ctx.state.put(UPTIME, closed.pack())
        if self.history.changed:
            self.history.changed = False
            await self.ctx.state.put(HISTORY, self.history.pack())

    async def _look_on(self) -> None:
        while True:
            for _ in range(KEEP_EVERY):
                await self.ctx.sleep(LOOK_EVERY)
                self.look()
            await self.keep()
