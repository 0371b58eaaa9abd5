"""What the stages of a caretaker's round share: who is there, what may be spent, what has been done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tahoe.actors.carelist import CareList, Record
from tahoe.actors.checking import Holdings
from tahoe.actors.keeping import KeepingDesk
from tahoe.policy.allowance import Allowance
from tahoe.policy.care import SURVIVAL, CareRules, Standing, standing_of
from tahoe.protocol import NodeId


@dataclass(slots=True)
class Tidings:
    """What a caretaker has done, in all.

    Attributes:
        counts: ``checked``, ``renewed``, ``challenged``, ``lies``, ``repairs``, ``failures``, ``moves``.
        bytes: sent and received for it, roughly.
        troubles: the last things that went wrong, newest last.
    """

    counts: Counter[str] = field(default_factory=Counter)
    bytes: float = 0.0
    troubles: list[str] = field(default_factory=list)

    def complain(self, text: str) -> None:
        """Something went wrong."""
        self.troubles = [*self.troubles[-19:], text]


class CareRound:
    """What the stages share.

    Args:
        desk: of the node.
        care: what is looked after.
        rules: how.
        allowance: what may be spent.
    """

    def __init__(self, desk: KeepingDesk, care: CareList, rules: CareRules, allowance: Allowance) -> None:
        self.desk = desk
        self.care = care
        self.rules = rules
        self.tidings = Tidings()
        self._allowance = allowance
        self._silent: dict[NodeId, None] = {}

    def meet(self) -> None:
        """Note who is there, as far as the network tells."""
        now = self.desk.ctx.wall_time()
        for server in self.desk.servers():
            if self.desk.ctx.presence(server.node):
                self.care.seen[server.node] = now
                self._silent.pop(server.node, None)

    def heard(self, holdings: Holdings) -> None:
        """Servers were asked, and some have answered."""
        now = self.desk.ctx.wall_time()
        for node in holdings.held:
            self.care.seen[node] = now
            self._silent.pop(node, None)
        self._silent.update(dict.fromkeys(holdings.silent))

    def standing(self) -> Standing:
        """Servers as they are seen now."""
        care, now = self.care, self.desk.ctx.wall_time()
        servers = [server for server in self.desk.servers() if server.node not in care.gone]
        present: list[NodeId] = []
        absent: list[NodeId] = []
        for server in servers:
            is_there = self.desk.ctx.presence(server.node) is not False and server.node not in self._silent
            (present if is_there else absent).append(server.node)
        asleep = standing_of(absent, care.seen, now, self.rules.grace, care.gone)
        leaving = [server.node for server in servers if server.leaving]
        return Standing(frozenset(present), frozenset(asleep), frozenset(care.trust.distrusted), frozenset(leaving))

    def is_left(self) -> bool:
        """Whether anything more may be begun."""
        return self._allowance.is_left(self.desk.ctx.now())

    def spend(self, size: float, requests: float) -> None:
        """So much was spent: bytes and messages."""
        self._allowance.spend(size, requests)
        self.tidings.bytes += size

    def danger(self, record: Record, standing: Standing) -> float:
        """How likely it is to be lost before the next look."""
        is_known = record.checked and record.total
        return record.outlook(standing).danger(SURVIVAL) if is_known else 1.0

    def label(self, node: NodeId) -> str:
        """A server's name for people."""
        site = self.desk.sites().get(node)
        return node if site is None else site.label
