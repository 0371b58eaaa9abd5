"""Erasure coding: k blocks become N, and any k of those give the k back.

The code is zfec's: output block r is, byte by byte over GF(256), the dot product of row r of an N-by-k matrix with
the k input bytes. The top k rows are the identity, so blocks 0..k-1 *are* the input (primary blocks) and cost
nothing; reading prefers them.

Two engines compute it. zfec is always there. ISA-L, if the system has it, multiplies the very same matrix some 20
times faster; a slow network hides that, a fast one does not. The bytes are identical. ISA-L needs the rows spelled
out, and both the rows for encoding and the inverted ones for decoding are read off zfec by coding unit vectors, so
there is no field arithmetic here that could disagree with it.

Both engines release the interpreter's lock, and coders are safe to use from several threads at once.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import zfec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tahoe.codec.hashing import BytesLike

MAX_TOTAL: Final = 256

Matrix: TypeAlias = "tuple[bytes, ...]"  # one byte string per row

_ISAL_NAME: Final = "libisal.so.2"
_ISAL_MAX_BLOCK: Final = 2**31 - 1  # its length is a C int
_TABLE_BYTES: Final = 32  # that ISA-L wants for each matrix entry


class Engine(Protocol):
    """What computes blocks, for one k and N. The arguments have been checked."""

    def encode(self, blocks: Sequence[BytesLike], numbers: Sequence[int]) -> list[bytes]:
        """Return the output blocks with these numbers (none of them primary)."""
        ...

    def decode(self, numbers: tuple[int, ...], blocks: Sequence[BytesLike], missing: Sequence[int]) -> list[bytes]:
        """Return the primary blocks that are missing among ``numbers``."""
        ...


class Erasure:
    """The code for one k and N.

    Args:
        needed: k, blocks that suffice.
        total: N, blocks made; 1 <= k <= N <= 256.
        engine: what computes; the fastest there is if None.

    Raises:
        ValueError: k and N out of bounds.
    """

    __slots__ = ("_engine", "needed", "total")

    def __init__(self, needed: int, total: int, engine: Engine | None = None) -> None:
        check_bounds(needed, total)
        self.needed = needed
        self.total = total
        self._engine = engine or _fastest(needed, total)

    def encode(self, blocks: Sequence[BytesLike]) -> list[bytes]:
        """Return all N blocks for k blocks of equal length."""
        return self.encode_some(blocks, range(self.total))

    def encode_some(self, blocks: Sequence[BytesLike], numbers: Sequence[int]) -> list[bytes]:
        """Return only the output blocks with these numbers, in this order.

        Raises:
            ValueError: not k blocks, unequal lengths, or a number that is not in 0..N-1.
        """
        self._check(blocks, numbers)
        secondary = [number for number in numbers if number >= self.needed]
        computed = dict(zip(secondary, self._engine.encode(blocks, secondary), strict=True)) if secondary else {}
        return [computed[number] if number >= self.needed else bytes(blocks[number]) for number in numbers]

    def decode(self, numbers: Sequence[int], blocks: Sequence[BytesLike]) -> list[bytes]:
        """Return the k primary blocks, given any k distinct blocks and their numbers.

        Raises:
            ValueError: not k blocks, unequal lengths, or numbers that are not k distinct ones of 0..N-1.
        """
        self._check(blocks, numbers)
        if len(set(numbers)) != self.needed or len(numbers) != self.needed:
            raise ValueError(f"decoding takes {self.needed} distinct blocks, not the numbers {list(numbers)}")
        # In order of their numbers, so that the cache of inverted matrices sees each set of numbers once.
        given = dict(sorted(zip(numbers, blocks, strict=True)))
        missing = [number for number in range(self.needed) if number not in given]
        computed = self._engine.decode(tuple(given), list(given.values()), missing) if missing else []
        found = dict(zip(missing, computed, strict=True))
        return [found[number] if number in found else bytes(given[number]) for number in range(self.needed)]

    def _check(self, blocks: Sequence[BytesLike], numbers: Sequence[int]) -> None:
        if len(blocks) != self.needed:
            raise ValueError(f"{self.needed} blocks are needed, not {len(blocks)}")
        if len({len(block) for block in blocks}) != 1:
            raise ValueError("blocks of one segment have the same length")
        if not all(0 <= number < self.total for number in numbers):
            raise ValueError(f"block numbers run from 0 to {self.total - 1}")


@lru_cache(maxsize=256)
def erasure(needed: int, total: int) -> Erasure:
    """Return the coder for k and N, made once."""
    return Erasure(needed, total)


def check_bounds(needed: int, total: int) -> None:
    """Refuse k and N that the code does not exist for, by ValueError."""
    if not 1 <= needed <= total <= MAX_TOTAL:
        raise ValueError(f"the code exists for 1 <= k <= N <= {MAX_TOTAL}, not for {needed}-of-{total}")


def engine_name() -> str:
    """Return which engine is in use, ``isa-l`` or ``zfec``."""
    return "zfec" if _library() is None else "isa-l"


def _fastest(needed: int, total: int) -> Engine:
    return ZfecEngine(needed, total) if _library() is None else IsalEngine(needed, total)


class ZfecEngine:
    """The reference, present everywhere."""

    __slots__ = ("_decoder", "_encoder")

    def __init__(self, needed: int, total: int) -> None:
        self._encoder = zfec.Encoder(needed, total)
        self._decoder = zfec.Decoder(needed, total)

    def encode(self, blocks: Sequence[BytesLike], numbers: Sequence[int]) -> list[bytes]:
        """Return the output blocks with these numbers."""
        return list(self._encoder.encode(blocks, numbers))

    def decode(self, numbers: tuple[int, ...], blocks: Sequence[BytesLike], missing: Sequence[int]) -> list[bytes]:
        """Return the missing primary blocks."""
        primary = self._decoder.decode(blocks, numbers)
        return [primary[number] for number in missing]


class IsalEngine:
    """ISA-L's matrix product with zfec's matrix, through ctypes (which releases the interpreter's lock).

    Raises:
        OSError: the library is not installed.
    """

    __slots__ = ("_isal", "_needed", "_rows", "_total")

    def __init__(self, needed: int, total: int) -> None:
        library = _library()
        if library is None:
            raise OSError("ISA-L (libisal.so.2) is not installed")
        self._isal = library
        self._needed = needed
        self._total = total
        self._rows: Matrix = tuple(zfec.Encoder(needed, total).encode(_unit_vectors(needed), range(total)))

    def encode(self, blocks: Sequence[BytesLike], numbers: Sequence[int]) -> list[bytes]:
        """Return the output blocks with these numbers."""
        return self._product(b"".join(self._rows[number] for number in numbers), blocks)

    def decode(self, numbers: tuple[int, ...], blocks: Sequence[BytesLike], missing: Sequence[int]) -> list[bytes]:
        """Return the missing primary blocks."""
        inverse = _inverse(self._needed, self._total, numbers)
        return self._product(b"".join(inverse[number] for number in missing), blocks)

    def _product(self, rows: bytes, blocks: Sequence[BytesLike]) -> list[bytes]:
        """Multiply the matrix whose rows are given, one after another, with the column of blocks."""
        length, count = len(blocks[0]), len(rows) // self._needed
        if not length:
            return [b""] * count
        if length > _ISAL_MAX_BLOCK:
            raise ValueError("blocks of 2 GiB and more can't be coded; take smaller segments")
        outputs = [_allocate(None, length) for _ in range(count)]
        views = [_View(block) for block in blocks]
        sources = (ctypes.c_void_p * len(views))(*[view.address for view in views])
        targets = (ctypes.c_void_p * count)(*map(_address, outputs))
        self._isal.ec_encode_data(length, self._needed, count, _tables(rows, self._needed), sources, targets)
        return outputs


@cache
def _library() -> ctypes.CDLL | None:
    """Return ISA-L, or None if the system has none."""
    # Elsewhere it has another name. Looking for that may start a linker, so only if need be.
    return _loaded(_ISAL_NAME) or _loaded(ctypes.util.find_library("isal") or _ISAL_NAME)


def _loaded(name: str) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(name)
        library.ec_init_tables.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p]
        library.ec_encode_data.argtypes = [ctypes.c_int] * 3 + [ctypes.c_char_p] + [ctypes.c_void_p] * 2
    except (OSError, AttributeError):  # no such library, or another one of this name
        return None
    library.ec_init_tables.restype = library.ec_encode_data.restype = None
    return library


@lru_cache(maxsize=64)
def _tables(rows: bytes, needed: int) -> bytes:
    """Return what ISA-L precomputes from a matrix: 32 bytes for each entry."""
    library = _library()
    assert library is not None, "only the ISA-L engine asks for tables"
    tables: bytes = _allocate(None, _TABLE_BYTES * len(rows))
    library.ec_init_tables(needed, len(rows) // needed, rows, tables)
    return tables


@lru_cache(maxsize=256)
def _inverse(needed: int, total: int, numbers: tuple[int, ...]) -> Matrix:
    """Return the matrix that turns the blocks with these numbers (ascending) into the primary ones."""
    return tuple(map(bytes, zfec.Decoder(needed, total).decode(_unit_vectors(needed), numbers)))


def _unit_vectors(size: int) -> list[bytes]:
    """Return the identity matrix; what a linear code makes of it is its own matrix, row by row."""
    return [bytes(column == row for column in range(size)) for row in range(size)]


# Functions of the C API, as prototypes of our own because those in ctypes.pythonapi are shared with everybody.
# _allocate gives fresh byte strings, whose contents C code may fill in before anybody else sees them.
_allocate = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_char_p, ctypes.c_ssize_t)(
    ("PyBytes_FromStringAndSize", ctypes.pythonapi)
)
_address = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(("PyBytes_AsString", ctypes.pythonapi))
_get_buffer = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p, ctypes.c_int)(
    ("PyObject_GetBuffer", ctypes.pythonapi)
)
_release_buffer = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("PyBuffer_Release", ctypes.pythonapi))


class _View:
    """The address of a bytes-like object's memory, valid as long as this object lives; nothing is copied."""

    __slots__ = ("_keep", "address")

    def __init__(self, data: BytesLike) -> None:
        self._keep: Any = data
        if isinstance(data, bytes):
            self.address = _address(data)
        else:
            self._keep = _PyBuffer()
            _get_buffer(data, ctypes.byref(self._keep), 0)
            self.address = self._keep.buf

    def __del__(self) -> None:
        if isinstance(self._keep, _PyBuffer):
            _release_buffer(ctypes.byref(self._keep))


class _PyBuffer(ctypes.Structure):
    """The C API's ``Py_buffer``."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )
