"""AES-128 in counter mode: one key stream per encrypted item, readable from any byte on.

The counter is one 16-byte big-endian integer, zero at the item's first byte. There is no nonce: every key encrypts
one item only, which the way keys are derived guarantees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

if TYPE_CHECKING:
    from tahoe.codec.hashing import BytesLike

_BLOCK_SIZE: Final = 16


class StreamCipher:
    """Encrypts or decrypts (it is the same) consecutive bytes of one item.

    Args:
        key: 16 bytes.
        offset: where in the item the first byte to be processed stands.
    """

    __slots__ = ("_context",)

    def __init__(self, key: bytes, offset: int = 0) -> None:
        if len(key) != _BLOCK_SIZE:
            raise ValueError(f"a key has {_BLOCK_SIZE} bytes, not {len(key)}")
        counter, skipped = divmod(offset, _BLOCK_SIZE)
        self._context = Cipher(AES(key), CTR(counter.to_bytes(_BLOCK_SIZE, "big"))).encryptor()
        self._context.update(bytes(skipped))

    def process(self, data: BytesLike) -> bytes:
        """Return the next ``len(data)`` bytes, encrypted or decrypted."""
        return self._context.update(data)
