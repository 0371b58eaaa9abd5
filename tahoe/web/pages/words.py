"""Numbers, times and probabilities in the words that people use for them."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from typing import Any, Final

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")
_SPANS: Final = (
    (86400 * 365.25, "year"),
    (86400 * 30.4, "month"),
    (86400.0, "day"),
    (3600.0, "hour"),
    (60.0, "minute"),
)
_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_FEWEST_DECIMALS: Final = 1e-4
"""Smaller probabilities are written as powers of ten."""

_DIGITS: Final = re.compile(r"(\d+)")


def size(count: float) -> str:
    """Return a number of bytes in decimal units: ``1.5 MB``."""
    if abs(count) < 1000:
        return f"{count:.0f} byte{'' if count == 1 else 's'}"
    power = min(int(math.log10(abs(count)) / 3), len(_UNITS) - 1)
    if abs(count) >= 999.5 * 1000**power and power < len(_UNITS) - 1:
        power += 1
    scaled = count / 1000**power
    return f"{scaled:.{_decimals(scaled)}f} {_UNITS[power]}"


def span(seconds: float) -> str:
    """Return a length of time in its largest whole unit: ``3 days``."""
    for length, name in _SPANS:
        if seconds >= length:
            return many(int(seconds / length), name)
    return "a moment" if seconds < 1 else many(int(seconds), "second")


def ago(moment: float | None, now: float) -> str:
    """Return how long a moment lies back: ``3 days ago``; ``never`` if there was none."""
    if moment is None:
        return "never"
    return "just now" if now - moment < 2 else f"{span(now - moment)} ago"


def latency(seconds: float | None) -> str:
    """Return a round trip: ``12 ms``; a dash where none was measured."""
    if seconds is None:
        return "–"
    return f"{seconds * 1000:.{0 if seconds >= 0.01 else 1}f} ms" if seconds < 1 else f"{seconds:.1f} s"


def date(moment: float | None) -> str:
    """Return the local day and minute of a moment; a dash if it is unknown."""
    return "–" if moment is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def machine_date(moment: float) -> str:
    """Return a moment as the ``datetime`` attribute wants it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def many(count: float, noun: str, plural: str = "") -> str:
    """Return a count with its noun: ``1 file``, ``2 files``."""
    return f"{count:,.0f} {noun if count == 1 else plural or noun + 's'}"


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them: ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def probability(chance: float) -> str:
    """Return a probability: a percentage, or a power of ten where a percentage would be all zeros."""
    if chance in {0.0, 1.0}:
        return f"{chance * 100:.0f} %"
    return f"{chance * 100:.3g} %" if chance >= _FEWEST_DECIMALS else power_of_ten(chance)


def power_of_ten(number: float) -> str:
    """Return a number such as ``3.7·10⁻⁷``."""
    if number == 0:
        return "0"
    digits, exponent = f"{number:.1e}".split("e")
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return power if digits == "1.0" else f"{digits}·{power}"


def number(value: float) -> str:
    """Return a number to three digits, with commas."""
    return f"{value:,.{_decimals(value)}f}" if abs(value) >= 0.01 or value == 0 else power_of_ten(value)


def one_in(chance: float) -> str:
    """Return a probability as odds: ``one in 2,700,000``."""
    if chance <= 0:
        return "never"
    odds = 1 / chance
    return (
        f"one in {odds:,.1f}" if odds < 10 else f"one in {odds:,.0f}" if odds < 1e9 else f"one in {power_of_ten(odds)}"
    )


def _decimals(value: float) -> int:
    """How many decimals give three digits, leaving out those of a whole number."""
    if value == int(value):
        return 0
    return max(0, 2 - int(math.log10(abs(value)))) if abs(value) >= 0.99 else 3


def leading_zeros(chance: float) -> int:
    """Return how many zeros stand behind the point before the first digit of a probability: 2 for 0.003."""
    return max(0, -math.floor(math.log10(chance)) - 1)


def short(identity: str) -> str:
    """Return enough of a node's identity to tell it from others."""
    return identity[:12]


def natural(name: str) -> list[Any]:
    """Return a key that sorts as people do: ``photo 9`` before ``photo 10``, whatever the case."""
    pieces = _DIGITS.split(name.casefold())
    return [int(piece) if index % 2 and len(piece) < 50 else piece for index, piece in enumerate(pieces)]
