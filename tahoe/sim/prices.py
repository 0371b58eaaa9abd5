"""What the functions that actors hand to ``compute`` cost: seconds per call and per byte.

The figures are measured (one core of a 2-core x86-64 machine of 2026, zfec through ISA-L) and only
their order of magnitude matters. A function without a price is small work: it runs inline and costs
no simulated time, as it would on the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from tahoe.actors import coding
from tahoe.actors.reading import read_shares
from tahoe.actors.slotkeeping import read_slot, write_slot
from tahoe.sim.phantom import Patchwork, Phantom
from tahoe.storage.disk import DiskStore
from tahoe.storage.diskslots import DiskSlotStore
from tahoe.storage.faulty import FaultyStore
from tahoe.storage.memory import MemoryStore
from tahoe.storage.memoryslots import MemorySlotStore

HOP = 33e-6
"""To a thread and back."""
SHA256 = 0.53e-9
"""Hashing a byte."""
SYNC = 0.004
"""A file and its directory made durable, on a disk that others use, too."""


class Price(NamedTuple):
    """What a call costs, in seconds.

    ``call`` and ``byte`` (for each byte among its arguments) occupy the node's processor. ``wait`` passes
    beside: a disk that syncs, which many calls may wait for at once.
    """

    call: float = HOP
    byte: float = 0.0
    wait: float = 0.0

    def work(self, arguments: Iterable[Any]) -> float:
        """Seconds of the processor for a call with these arguments."""
        return self.call + self.byte * sum(map(bulk, arguments)) if self.byte else self.call


FREE = Price(call=0.0)

_prices: dict[Any, Price] = {}


def bulk(argument: object) -> int:
    """Bytes in an argument: its own length, or the sum over a sequence or mapping of such."""
    if isinstance(argument, (str, int, float)) or argument is None:
        return 0
    if isinstance(argument, (bytes, bytearray, memoryview, Phantom, Patchwork)):
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
    return _prices.get(getattr(function, "__func__", function), FREE)


def _register_coding() -> None:
    """3-of-10: a byte of the file is encrypted, hashed twice, coded, and its 10/3 bytes of blocks are hashed."""
    encoding = Price(byte=0.1e-9 + 2 * SHA256 + 0.2e-9 + 10 / 3 * SHA256)
    register_price(coding.feed_key, Price(byte=SHA256))
    register_price(coding.encode_segment, encoding)
    register_price(coding.encode_small, encoding)
    register_price(coding.encode_small_convergent, encoding._replace(byte=encoding.byte + SHA256))
    register_price(coding.finish_file, Price(call=150e-6))
    register_price(coding.decode_stretch, Price(byte=0.1e-9 + 2 * SHA256 + 0.2e-9))


def _register_storage() -> None:
    """Reads come from the cache of the operating system; what promises durability waits for the disk."""
    register_price(read_shares, Price(call=80e-6))
    for kind in (MemoryStore, DiskStore, FaultyStore):
        register_price(kind.read, Price())
        register_price(kind.store, Price(byte=1e-9, wait=SYNC))
        register_price(kind.allocate, Price(wait=SYNC / 4))
        register_price(kind.write, Price(byte=1e-9))
        register_price(kind.close, Price(wait=SYNC))
        register_price(kind.scrub, Price(call=1e-3))


def _register_slots() -> None:
    """A change costs its proof and one sync, be it of a new slot or an old one; contents are small."""
    register_price(read_slot, Price(call=100e-6))
    register_price(write_slot, Price(call=300e-6, wait=SYNC))
    for kind in (MemorySlotStore, DiskSlotStore):
        register_price(kind.add_lease, Price(wait=SYNC))
        register_price(kind.scrub, Price(call=1e-3))


_register_coding()
_register_storage()
_register_slots()
