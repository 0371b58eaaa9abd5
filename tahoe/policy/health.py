"""What a check found of one object, and what it means in the words and numbers that people and programs know.

A check asks servers what they have; a verification looks at every byte of it. Either ends in a ``Health``: which share
numbers are good, where, what is corrupt, who did not answer. Figures and their names are those of
``docs/formats.md``: an object is *healthy* when every one of its N shares is somewhere, *recoverable* when k are. How
well they are spread is told (``happiness``), but doubled shares or poor spread never make an object unhealthy: what
to do about that is up to rebalancing.

Of a mutable object there may be several versions about. The best is the newest that can be recovered; shares of others
are *wrong*, and a version with too few shares *unrecoverable*.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tahoe.codec import base32
from tahoe.policy.happiness import happiness
from tahoe.protocol import NodeId


class Locator(NamedTuple):
    """One share that is not as it should be, and why."""

    node: NodeId
    number: int
    reason: str


class VersionShares(NamedTuple):
    """The shares found of one version of a mutable object; ``label`` names the version for people."""

    label: str
    needed: int
    total: int
    holders: Mapping[int, tuple[NodeId, ...]]

    @property
    def is_recoverable(self) -> bool:
        """Whether k different shares were found."""
        return len(self.holders) >= self.needed


@dataclass(frozen=True, slots=True)
class Answers:
    """Who answered, and who did not and why."""

    responding: tuple[NodeId, ...] = ()
    silent: Mapping[NodeId, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """What was found of one object.

    Args:
        versions: the best first. An immutable object has one.
        answers: of servers.
        corrupt: shares that fail a hash.
        incompatible: shares of a format not known here.
        mutable: whether versions count.
    """

    versions: tuple[VersionShares, ...]
    answers: Answers = field(default_factory=Answers)
    corrupt: tuple[Locator, ...] = ()
    incompatible: tuple[Locator, ...] = ()
    mutable: bool = False

    @property
    def best(self) -> VersionShares:
        """The version that is looked after."""
        return self.versions[0] if self.versions else VersionShares("", 3, 10, {})

    @property
    def good(self) -> Mapping[int, tuple[NodeId, ...]]:
        """Who holds which good share."""
        return self.best.holders

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers of which no good share was found."""
        return tuple(number for number in range(self.best.total) if number not in self.good)

    @property
    def recoverable_versions(self) -> int:
        """Versions with enough shares."""
        return sum(version.is_recoverable for version in self.versions)

    @property
    def unrecoverable_versions(self) -> int:
        """Versions with too few; one for an immutable object that is lost."""
        return len(self.versions) - self.recoverable_versions

    @property
    def is_recoverable(self) -> bool:
        """Whether the object can be read."""
        return self.recoverable_versions > 0

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is to be mended."""
        is_single = self.recoverable_versions == 1 and not self.unrecoverable_versions
        return is_single and not self.missing

    @property
    def happiness(self) -> int:
        """The size of the largest matching between good shares and servers."""
        holders: dict[Hashable, Iterable[NodeId]] = {}
        for version in self.versions:
            for number, nodes in version.holders.items():
                holders[version.label, number] = nodes
        return happiness(dict(enumerate(holders.values())))

    @property
    def summary(self) -> str:
        """The verdict in a line."""
        if self.is_healthy:
            return "Healthy"
        shares = f"{len(self.good)} shares (enc {self.best.needed}-of-{self.best.total})"
        return f"Unhealthy: {'; '.join(self._reasons(shares))}" if self.mutable else f"Not Healthy: {shares}"

    def _reasons(self, shares: str) -> list[str]:
        reasons = []
        if self.unrecoverable_versions:
            reasons.append("some versions are unrecoverable")
        if not self.recoverable_versions:
            reasons.append("no versions are recoverable")
        if self.recoverable_versions > 1:
            reasons.append("multiple versions are recoverable")
        if self.missing:
            reasons.append(shares)
        return reasons

    def counts(self) -> dict[str, int]:
        """The figures by their names."""
        hosts = dict.fromkeys(node for nodes in self.good.values() for node in nodes)
        wrong = sum(len(nodes) for version in self.versions[1:] for nodes in version.holders.values())
        return {
            "count-shares-needed": self.best.needed,
            "count-shares-expected": self.best.total,
            "count-shares-good": len(self.good),
            "count-good-share-hosts": len(hosts),
            "count-happiness": self.happiness,
            "count-recoverable-versions": self.recoverable_versions,
            "count-unrecoverable-versions": self.unrecoverable_versions,
            "count-wrong-shares": wrong,
            "count-corrupt-shares": len(self.corrupt),
            "count-incompatible-shares": len(self.incompatible),
        }

    def as_json(self, storage_index: bytes) -> dict[str, Any]:
        """All of it, as programs get it. Servers are node ids."""
        name = base32.encode(storage_index)
        return {
            "healthy": self.is_healthy,
            "recoverable": self.is_recoverable,
            "summary": self.summary,
            **self.counts(),
            "list-corrupt-shares": _listed(self.corrupt, name),
            "list-incompatible-shares": _listed(self.incompatible, name),
            "servers-responding": list(self.answers.responding),
            "servers-silent": dict(self.answers.silent),
            "sharemap": self.sharemap(),
        }

    def sharemap(self) -> dict[str, list[NodeId]]:
        """Who holds what, by the name of the share."""
        return {
            f"{version.label}-sh{number}" if self.mutable else str(number): list(nodes)
            for version in self.versions
            for number, nodes in version.holders.items()
        }


LITERAL_HEALTH = Health((VersionShares("", 0, 0, {}),))
"""Of a capability that holds the file itself: there is nothing that could be lost."""


def health_of_file(
    needed: int, total: int, holders: Mapping[int, Sequence[NodeId]], answers: Answers, corrupt: Sequence[Locator] = ()
) -> Health:
    """The health of an immutable file, by who holds good shares of it."""
    found = {number: tuple(nodes) for number, nodes in sorted(holders.items()) if nodes}
    return Health((VersionShares("", needed, total, found),), answers, tuple(corrupt))


def _listed(locators: Iterable[Locator], storage_index: str) -> list[dict[str, Any]]:
    return [
        {"server": node, "storage-index": storage_index, "share": number, "reason": reason}
        for node, number, reason in locators
    ]
