"""The page about one thing: what it is, who may do what with it, and what it looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import segno

from tahoe.actors.children import Entry
from tahoe.codec.capability import Capability, Directory, ImmutableRead, Literal, Unknown
from tahoe.web.pages import kinds
from tahoe.web.pages.directory import changed_of

TEXT_PREVIEW_BYTES: Final = 200_000
"""Larger texts show their beginning."""

LONGEST_QR: Final = 1500


class Power(NamedTuple):
    """A capability, and what it lets its holder do. ``qr`` is a drawing (SVG), empty where the text is too long for one."""

    key: str
    title: str
    text: str
    warning: str
    qr: str


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a thing without asking anybody.

    Args:
        kind: folder, or what the name promises.
        size: in bytes; None where only the servers know.
        nature: whether it can change, and how it is kept.
        powers: capabilities that lead to it, the one to share first.
        preview: how a browser may show it: text, image, audio, video, pdf; empty if not.
        changed: when its link was last changed, in seconds since the epoch.
    """

    kind: str
    size: int | None
    nature: str
    powers: tuple[Power, ...]
    preview: str
    changed: float | None


def about(cap: Capability, name: str, entry: Entry | None) -> About:
    """Return what there is to say of a thing.

    Args:
        cap: with the power that the way to it gives.
        name: its last name; empty where there is none.
        entry: its link, if it was found in a directory.
    """
    folder = isinstance(cap, Directory)
    preview = "" if folder or isinstance(cap, Unknown) else kinds.family(name)
    return About(
        kind="folder"
        if folder
        else "of a kind that this version does not know"
        if isinstance(cap, Unknown)
        else kinds.spoken(name),
        size=_size(cap),
        nature=_nature(cap),
        powers=powers(cap),
        preview="" if preview == "file" else preview,
        changed=changed_of(entry.metadata) if entry is not None else None,
    )


def powers(cap: Capability) -> tuple[Power, ...]:
    """Return the capabilities that can be handed on, the harmless one first."""
    if isinstance(cap, Unknown):
        return (_power("whole", "As it is", cap, "What it lets its holder do, only a newer version can tell."),)
    reading, folder = cap.read_only(), isinstance(cap, Directory)
    what = "everything in this folder" if folder else "this file"
    found = [_power("read", "To read", reading, f"Whoever has it can read {what}, for ever.")]
    if cap.writeable:
        found.append(_power("write", "To read and write", cap, f"Whoever has it can change and remove {what}."))
    verifier = cap.verifier()
    if verifier is not None and not isinstance(cap, Literal):
        found.append(
            _power("verify", "To check", verifier, "Whoever has it can check and repair the shares, and read nothing.")
        )
    return tuple(found)


def _power(key: str, title: str, cap: Capability, warning: str) -> Power:
    text = str(cap)
    return Power(key, title, text, warning, qr_code(text))


def qr_code(text: str) -> str:
    """Return a QR code as inline SVG; empty if the text is longer than a camera can well read."""
    if len(text) > LONGEST_QR:
        return ""
    code = segno.make_qr(text, error="l")
    return str(code.svg_inline(omitsize=True, svgclass=None, lineclass=None, border=2, dark="#102a31"))


def _size(cap: Capability) -> int | None:
    if isinstance(cap, Literal):
        return len(cap.data)
    return cap.size if isinstance(cap, ImmutableRead) else None


def _nature(cap: Capability) -> str:
    file = cap.file if isinstance(cap, Directory) else cap
    if isinstance(file, Literal):
        return "so small that its capability holds all of it"
    if not cap.mutable:
        return "immutable: it can never change"
    return "mutable, and yours to change" if cap.writeable else "mutable, but not by you"
