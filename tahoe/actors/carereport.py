"""What a caretaker has to say: how it stands with every root, how old that knowledge is, and why it is not better.

The headline of every root is the age of its last successful verification: since when nobody has seen all of it alive. A
caretaker that can't work does not go green, it grows old, and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from tahoe.actors.carelist import CareList, Record, Root
from tahoe.policy.care import CareRules, Safety, Standing
from tahoe.policy.domains import report as domain_report

DAY = 86400.0
STALE_PERIODS = 2.0
"""Knowledge older than so many check periods is stale."""

DELEGATION_WARNING = 30 * DAY
"""A delegation that ends sooner is spoken of."""

NAMED_AT_MOST = 20


class Light(Enum):
    """The state of the whole."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"

    @property
    def status(self) -> int:
        """The exit status for scripts."""
        return list(Light).index(self)


class RootReport(NamedTuple):
    """How it stands with one root.

    Args:
        name: of it.
        counts: objects by safety.
        verified: when all of it was last seen alive, seconds since the epoch; 0: never.
        trouble: why it could not be seen from top to bottom.
        published: whether a manifest of it is kept for others.
        delegated: until when its leases may be made on behalf of its owner; 0: they are this node's own.
    """

    name: str
    counts: Mapping[str, int]
    verified: float
    trouble: str
    published: bool
    delegated: float = 0.0


class CareReport(NamedTuple):
    """How it stands with everything.

    Args:
        state: of the whole.
        roots: one after the other.
        reasons: why it is not better, in words.
        servers: how many are present, asleep, leaving, distrusted, gone.
        time: of the report.
        worked: when a round was last ended; 0: never.
    """

    state: Light
    roots: tuple[RootReport, ...]
    reasons: tuple[str, ...]
    servers: Mapping[str, int]
    time: float
    worked: float

    def as_json(self) -> dict[str, Any]:
        """As programs get it; ages are seconds, None where it was never so."""
        return {
            "state": self.state.value,
            "reasons": list(self.reasons),
            "servers": dict(self.servers),
            "last-round-age": _age(self.time, self.worked),
            "roots": [
                {
                    "name": root.name,
                    "objects": dict(root.counts),
                    "verified-age": _age(self.time, root.verified),
                    "trouble": root.trouble,
                    "published": root.published,
                    "delegated-until": root.delegated or None,
                }
                for root in self.roots
            ],
        }


def _age(now: float, then: float) -> float | None:
    return max(0.0, now - then) if then else None


def report_on(care: CareList, standing: Standing, rules: CareRules, now: float) -> CareReport:
    """Sum up a care list."""
    by_root: dict[str, list[Record]] = {name: [] for name in care.roots}
    for record in care.records.values():
        by_root.setdefault(record.root, []).append(record)
    roots = tuple(_report_root(root, by_root[name], standing, rules) for name, root in sorted(care.roots.items()))
    reasons = [*_reasons(roots, standing, care, rules, now), *_crowding(care)]
    return CareReport(_light(roots, rules, now), roots, tuple(reasons), _servers(care, standing), now, care.worked)


def _report_root(root: Root, records: Sequence[Record], standing: Standing, rules: CareRules) -> RootReport:
    counts = Counter(safety_of(record, standing, rules).value for record in records)
    verified = min((record.confirmed for record in records), default=0.0)
    verified = min(verified, root.walked) if root.walked else 0.0
    return RootReport(root.name, dict(counts), verified, root.trouble, bool(root.published), root.expires)


def safety_of(record: Record, standing: Standing, rules: CareRules) -> Safety:
    """How it stands with one object."""
    if not record.checked or not record.total:
        return Safety.UNKNOWN
    return record.outlook(standing).safety(rules.repair)


def _light(roots: Iterable[RootReport], rules: CareRules, now: float) -> Light:
    light = Light.GREEN
    for root in roots:
        if root.counts.get(Safety.LOST.value):
            return Light.RED
        is_stale = not root.verified or now - root.verified > STALE_PERIODS * rules.check_every
        is_over = 0 < root.delegated < now
        if (
            is_over
            or is_stale
            or root.trouble
            or root.counts.get(Safety.AT_RISK.value)
            or root.counts.get(Safety.UNKNOWN.value)
        ):
            light = Light.YELLOW
    return light


def _reasons(
    roots: Iterable[RootReport], standing: Standing, care: CareList, rules: CareRules, now: float
) -> Iterable[str]:
    for root in roots:
        lost, risky, unknown = (
            root.counts.get(kind.value, 0) for kind in (Safety.LOST, Safety.AT_RISK, Safety.UNKNOWN)
        )
        if lost:
            yield f"{root.name}: {_counted(lost, 'object')} can't be recovered from the servers that are known to live"
        if risky:
            yield f"{root.name}: {_counted(risky, 'object')} with too few shares, waiting for repair"
        if unknown:
            yield f"{root.name}: {_counted(unknown, 'object')} not looked at yet"
        if root.trouble:
            yield f"{root.name}: {root.trouble}"
        if root.verified and now - root.verified > STALE_PERIODS * rules.check_every:
            days = (now - root.verified) / DAY
            yield f"{root.name}: it is {days:.0f} days since all of it was seen alive"
        yield from _mandate_reasons(root, now)
    if care.worked and now - care.worked > STALE_PERIODS * rules.check_every:
        yield f"the caretaker has not been able to work for {(now - care.worked) / DAY:.0f} days"
    if standing.distrusted:
        yield f"{_counted(len(standing.distrusted), 'server')} found to lie about what is held there"
    if standing.leaving:
        yield f"{_counted(len(standing.leaving), 'server')} about to leave"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _mandate_reasons(root: RootReport, now: float) -> Iterable[str]:
    if 0 < root.delegated < now:
        yield f"{root.name}: the owner's delegation has run out, so no lease is renewed; ask for a new one"
    elif 0 < root.delegated < now + DELEGATION_WARNING:
        yield f"{root.name}: the owner's delegation ends in {(root.delegated - now) / DAY:.0f} days; ask for a new one"


def _crowding(care: CareList) -> Iterable[str]:
    """Objects whose end is that of one place."""
    sites = {server.node: server for server in care.desk.servers() if server.location}
    if not sites:
        return
    crowded: Counter[str] = Counter()
    for record in care.records.values():
        holders = {number: [sites[node] for node in nodes if node in sites] for number, nodes in record.homes.items()}
        found = domain_report(record.needed, record.total, {n: places for n, places in holders.items() if places})
        crowded.update(found.crowded)
    for place, count in crowded.most_common(NAMED_AT_MOST):
        yield f"{_counted(count, 'object')} with more shares at {place} than may be lost; there are too few other places"


def _servers(care: CareList, standing: Standing) -> dict[str, int]:
    return {
        "present": len(standing.present),
        "asleep": len(standing.asleep),
        "leaving": len(standing.leaving),
        "distrusted": len(standing.distrusted),
        "gone": len(care.gone),
        "known": len(care.desk.servers()),
    }
