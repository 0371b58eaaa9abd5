"""Base32: what is written is what the vectors say, and both readers agree with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.codec import base32
from tests.codec.samples import cases


@pytest.mark.parametrize("case", [case for case in cases("base32") if case["op"] == "encode"], ids=lambda c: c["text"])
def test_bytes_are_written_as_the_vectors_say(case):
    assert base32.encode(bytes.fromhex(case["data"])) == case["text"]


@pytest.mark.parametrize("case", [case for case in cases("base32") if case["op"] == "decode"], ids=lambda c: c["text"])
def test_texts_are_read_or_refused_as_the_vectors_say(case):
    if case["valid"]:
        assert base32.decode(case["text"]).hex() == case["data"]
    else:
        with pytest.raises(ValueError, match="base32"):
            base32.decode(case["text"])


@given(st.binary(max_size=80))
def test_what_is_written_is_read_by_both_readers(data):
    assert base32.decode(base32.encode(data)) == base32.decode_strict(base32.encode(data)) == data


@given(st.text("abcdefghijklmnopqrstuvwxyz234567", max_size=40))
def test_the_strict_reader_knows_one_spelling_of_everything(text):
    try:
        data = base32.decode_strict(text)
    except ValueError:
        return
    assert base32.encode(data) == text


def test_only_the_general_reader_ignores_the_highest_leftover_bit():
    assert base32.decode("ac") == b"\0"
    for refused in ("ac", "ab"):
        with pytest.raises(ValueError, match="belong to no byte"):
            base32.decode_strict(refused)
    with pytest.raises(ValueError, match="belong to no byte"):
        base32.decode("ab")
    assert base32.decode("aaaab") == b"\0\0\0"


@pytest.mark.parametrize("text", ["AA", "a=", "a0", "a1", "a8", "a ", "aa\n", "\u0430a", "a", "aaa", "aaaaaa"])
def test_foreign_characters_and_impossible_lengths_are_refused(text):
    with pytest.raises(ValueError, match="base32"):
        base32.decode(text)
