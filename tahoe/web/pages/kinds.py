"""What a file is, to people: judged by its name alone, since nobody opens ten thousand files to list them."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from tahoe.web.manner import Manner

TEXT_TYPES: Final = frozenset(
    {"application/json", "application/xml", "application/toml", "application/x-sh", "application/yaml"}
)
TEXT_SUFFIXES: Final = (
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".ini",
    ".log",
    ".rst",
    ".cfg",
    ".py",
    ".rs",
    ".c",
    ".h",
    ".go",
    ".sh",
)
_FAMILIES: Final = ("image", "audio", "video", "text")


def family(name: str) -> str:
    """Return what kind of file this seems to be, by the type it is served as: text, image, audio, video, pdf or file."""
    return (
        _family(name)
        if name.startswith(".")
        else _family_by_ending("".join(f".{end}" for end in name.rsplit(".", 2)[1:]))
    )


@lru_cache(maxsize=1024)
def _family_by_ending(ending: str) -> str:
    """The same, by the last two endings, which tell: of ten thousand names in a list, few have others."""
    return _family(f"x{ending}")


def _family(name: str) -> str:
    kind = Manner(name).kind
    if kind == "application/pdf":
        return "pdf"
    if kind in TEXT_TYPES or name.lower().endswith(TEXT_SUFFIXES):
        return "text"
    first = kind.partition("/")[0]
    return first if first in _FAMILIES else "file"


def spoken(name: str) -> str:
    """Return the kind in words, for a column of a list."""
    chosen = family(name)
    suffix = name.rpartition(".")[2] if "." in name.strip(".") else ""
    ending = f" ({suffix.lower()})" if 0 < len(suffix) <= 5 and chosen != "pdf" else ""
    return {"pdf": "PDF"}.get(chosen, chosen) + ending
