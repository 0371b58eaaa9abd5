"""The stream cipher: one stream, readable from anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.codec.cipher import StreamCipher

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")


def test_the_key_stream_is_aes_of_a_counter_from_zero():
    # AES-128 of sixteen zero bytes under the zero key, a published value.
    assert StreamCipher(bytes(16)).process(bytes(16)).hex() == "66e94bd4ef8a2c3b884cfa59ca342b2e"


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_part_can_be_decrypted_alone(plaintext, offset):
    ciphertext = StreamCipher(KEY).process(plaintext)
    assert StreamCipher(KEY, offset).process(ciphertext[offset:]) == plaintext[offset:]


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_pieces_continue_one_stream(pieces):
    cipher = StreamCipher(KEY)
    parts = [cipher.process(memoryview(piece)) for piece in pieces]
    assert b"".join(parts) == StreamCipher(KEY).process(b"".join(pieces))


def test_offsets_beyond_four_gigablocks_work():
    offset = 2**36 + 5
    whole = StreamCipher(KEY, offset - 5).process(bytes(32))
    assert StreamCipher(KEY, offset).process(bytes(27)) == whole[5:]
    assert whole != StreamCipher(KEY).process(bytes(32))


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_keys_of_another_size_are_refused(size):
    with pytest.raises(ValueError, match="16 bytes"):
        StreamCipher(bytes(size))
