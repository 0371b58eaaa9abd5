"""Sizes and durations as people write them in configuration files: ``"10G"``, ``"512Ki"``, ``"30 min"``."""

from __future__ import annotations

import re
from typing import Final, Self

_NUMBER_AND_UNIT: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")

_SIZE_UNITS: Final = {
    "": 1,
    **{letter: 1000**power for power, letter in enumerate("KMGTP", start=1)},
    **{f"{letter}i": 1024**power for power, letter in enumerate("KMGTP", start=1)},
}
_DURATION_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class ByteSize(int):
    """A number of bytes. ``K M G T P`` are powers of 1000, ``Ki Mi Gi Ti Pi`` of 1024; a final ``B`` is allowed."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a size.

        Raises:
            ValueError: with an example of what is right.
        """
        number, unit = _split(text, "a size such as 500000, 10G or 512Ki")
        factor = _SIZE_UNITS.get(unit.removesuffix("B"), _SIZE_UNITS.get(unit.removesuffix("B").capitalize()))
        if factor is None:
            raise ValueError(f"{text!r} is not a size; write for example 500000, 10G or 512Ki")
        return cls(round(number * factor))

    def __str__(self) -> str:
        for unit, factor in sorted(_SIZE_UNITS.items(), key=lambda item: -item[1]):
            if self and self % factor == 0:
                return f"{self // factor}{unit}"
        return "0"


class Seconds(float):
    """A duration. Units are ``ms s min h d``; a bare number is seconds."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a duration.

        Raises:
            ValueError: with an example of what is right.
        """
        number, unit = _split(text, "a duration such as 30s, 5min or 1d")
        factor = _DURATION_UNITS.get(unit)
        if factor is None:
            raise ValueError(f"{text!r} is not a duration; write for example 30s, 5min or 1d")
        return cls(number * factor)

    def __str__(self) -> str:
        for unit, factor in sorted(_DURATION_UNITS.items(), key=lambda item: -item[1]):
            if unit and self and (self / factor).is_integer():
                return f"{round(self / factor)}{unit}"
        return f"{float(self):g}s"


def _split(text: str, wanted: str) -> tuple[float, str]:
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not {wanted}")
    return float(match[1]), match[2]
