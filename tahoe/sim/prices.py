"""What the functions that actors hand to ``compute`` cost: seconds per call and per byte.

The figures are measured (one core of a 2-core x86-64 machine of 2026, zfec through ISA-L) and only
their order of magnitude matters. A function without a price is small work: it runs inline and costs
no simulated time, as it would on the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from tahoe.sim.phantom import Phantom


class Price(NamedTuple):
    """Seconds for each call and for each byte among its arguments."""

    call: float
    byte: float = 0.0

    def of(self, arguments: Iterable[Any]) -> float:
        """Seconds for a call with these arguments."""
        return self.call + self.byte * sum(map(bulk, arguments)) if self.byte else self.call


FREE = Price(0.0)

_prices: dict[Any, Price] = {}


def bulk(argument: object) -> int:
    """Bytes in an argument: its own length, or the sum over a sequence or mapping of such."""
    if isinstance(argument, (str, int, float)) or argument is None:
        return 0
    if isinstance(argument, (bytes, bytearray, memoryview, Phantom)):
        return len(argument)
    if isinstance(argument, Mapping):
        return sum(map(bulk, argument.values()))
    if isinstance(argument, (tuple, list)):
        return sum(map(bulk, argument))
    return 0


def plain(function: Callable[..., Any]) -> Any:
    """What prices and twins are registered under: the function behind a bound method."""
    return getattr(function, "__func__", function)


def register_price(function: Callable[..., Any], price: Price) -> None:
    """Set the price of a function, or of a method of a class."""
    _prices[plain(function)] = price


def price_of(function: Callable[..., Any]) -> Price:
    """The price of a function or bound method; ``FREE`` where none is registered."""
    return _prices.get(plain(function), FREE)
