"""What is in danger, by names that a person knows: below which root, by which path, and how many of its shares are left.

This is for the node's own people. Whoever else hears of the state (a webhook, a command) gets counts and no names.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tahoe.actors.carelist import Record, Root
from tahoe.actors.careround import CareRound
from tahoe.actors.keeper import target_of
from tahoe.codec.capability import SlotVerify, SlotWrite, parse
from tahoe.policy.care import Outlook, Safety

MOST_NAMED = 50
"""Objects that are named one by one."""

ITSELF = "itself"
ITS_MANIFEST = "the manifest that is kept of it"
NO_PATH = "no path is known here"
"""In place of a path: of an object that is a root, of what others read of it, and of what is known by verify cap only."""


class Endangered(NamedTuple):
    """An object that is not safe.

    Args:
        root: the name of the one that it was last reached from.
        path: names from there down to it, with slashes between; empty if there is none.
        remark: why there is none.
        is_slot: whether it is a directory or a changeable file.
        safety: at risk or lost.
        outlook: what can be counted on.
        seen: when it was last found that it can be read; 0: never.
        capability: its verify cap.
    """

    root: str
    path: str
    remark: str
    is_slot: bool
    safety: Safety
    outlook: Outlook
    seen: float
    capability: str

    def as_json(self, now: float) -> dict[str, Any]:
        """As programs get it; the age is in seconds, None if it was never seen."""
        return {
            "root": self.root,
            "path": self.path or None,
            "remark": self.remark,
            "kind": "slot" if self.is_slot else "file",
            "safety": self.safety.value,
            "shares-here": self.outlook.here,
            "shares-asleep": len(self.outlook.presumed),
            "shares-needed": self.outlook.needed,
            "shares-total": self.outlook.total,
            "seen-age": max(0.0, now - self.seen) if self.seen else None,
            "verify-cap": self.capability,
        }


def endangered(shared: CareRound) -> list[Endangered]:
    """Everything that is not safe, the most endangered first."""
    standing = shared.standing()
    whole = {name: _parts_of(root) for name, root in shared.care.roots.items()}
    found: list[tuple[float, Endangered]] = []
    for record in shared.care.records.values():
        if record.checked and record.total:
            outlook = record.outlook(standing)
            safety = outlook.safety(shared.rules.repair)
            if safety is not Safety.SAFE:
                each = _endangered(record, whole.get(record.root, {}), safety, outlook)
                found.append((shared.danger(record, standing), each))
    return [each for _, each in sorted(found, key=lambda pair: (-pair[0], pair[1].root, pair[1].path))]


def _parts_of(root: Root) -> dict[str, str]:
    """Objects that are not below a root but the root itself, by their verify caps, and what to call them."""
    parts = {str(target_of(parse(root.capability))): ITSELF}
    slot = parse(root.published) if root.published else None
    return parts | ({str(slot.verifier()): ITS_MANIFEST} if isinstance(slot, SlotWrite) else {})


def _endangered(record: Record, parts: dict[str, str], safety: Safety, outlook: Outlook) -> Endangered:
    remark = "" if record.path else parts.get(record.capability, NO_PATH)
    is_slot = isinstance(record.target, SlotVerify)
    return Endangered(record.root, record.path, remark, is_slot, safety, outlook, record.confirmed, record.capability)
