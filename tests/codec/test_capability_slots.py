"""Capabilities of slots weaken one way, survive printing, and stand for directories under another prefix."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.codec.capability import Directory, Flaw, SlotRead, SlotVerify, SlotWrite, Unknown, parse

SEED = bytes(range(32))
WRITE = "URI:SLOT:aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"
READ = "URI:SLOT-RO:kck7jplqf6toaaw57wx77ml6rq:xxnpva45px4yd6rtwhxvulchvtn2fkrjddt47gumnrnfixjvm7wa"
VERIFY = "URI:SLOT-Verifier:ywqbmpckvcpadanxmuiy3be3ne:xxnpva45px4yd6rtwhxvulchvtn2fkrjddt47gumnrnfixjvm7wa"
FORMS = [WRITE, READ, VERIFY]

seeds = st.binary(min_size=32, max_size=32)


def directory(text: str) -> str:
    return text.replace("URI:SLOT", "URI:DIR3")


def test_the_capabilities_of_a_slot_are_those_that_its_seed_gave_when_the_format_was_made():
    cap = SlotWrite(SEED)
    assert [str(cap), str(cap.read_only()), str(cap.verifier())] == FORMS


@given(seeds)
def test_every_form_survives_printing(seed):
    cap = SlotWrite(seed)
    for form in (cap, cap.read_only(), cap.verifier()):
        assert parse(str(form)) == form
        assert parse(str(Directory(form))) == Directory(form)


@given(seeds)
def test_every_form_knows_the_same_slot(seed):
    cap = SlotWrite(seed)
    assert cap.storage_index == cap.read_only().storage_index == cap.verifier().storage_index
    assert cap.read_only().verifier() == cap.verifier() == cap.verifier().verifier()
    assert cap.read_only().read_only() == cap.read_only()


def test_a_weaker_form_has_nothing_of_the_stronger_one():
    cap = SlotWrite(SEED)
    assert not hasattr(cap.read_only(), "seed")
    assert not hasattr(cap.verifier(), "read_key")
    assert str(cap.read_only()).split(":")[2] not in str(cap.verifier())


@pytest.mark.parametrize(
    ("text", "kind", "mutable", "writeable"),
    [(WRITE, SlotWrite, True, True), (READ, SlotRead, True, False), (VERIFY, SlotVerify, False, False)],
)
def test_only_the_write_form_writes_and_a_verifier_does_not_count_as_mutable(text, kind, mutable, writeable):
    cap = parse(text)
    assert isinstance(cap, kind)
    assert (cap.mutable, cap.writeable, cap.is_directory) == (mutable, writeable, False)
    wrapped = parse(directory(text))
    assert wrapped == Directory(cap)
    assert (wrapped.mutable, wrapped.writeable, wrapped.is_directory) == (mutable, writeable, True)
    wrapped.check_served()


def test_a_directory_weakens_as_its_slot_does():
    cap = parse(directory(WRITE))
    assert str(cap.read_only()) == directory(READ)
    assert str(cap.verifier()) == directory(VERIFY)


@pytest.mark.parametrize("text", [*FORMS, *map(directory, FORMS)])
def test_a_capability_with_a_character_changed_for_none_of_the_alphabet_or_cut_short_is_of_bad_form(text):
    for wrong in (text[:-1], text + "a", text[:-1] + "1", text[:-1] + "b", text.rpartition(":")[0] + ":"):
        assert parse(wrong) == Unknown(wrong, Flaw.BAD_FORM)


@pytest.mark.parametrize("text", [WRITE, directory(WRITE)])
def test_what_writes_is_refused_where_it_is_alleged_to_be_read_only(text):
    assert parse(f"ro.{text}") == Unknown(f"ro.{text}", Flaw.MUST_BE_READ_ONLY)


@pytest.mark.parametrize("text", [WRITE, READ, directory(WRITE), directory(READ)])
def test_what_is_mutable_is_refused_where_all_must_be_immutable(text):
    assert parse(f"imm.{text}") == Unknown(f"imm.{text}", Flaw.MUST_BE_DEEP_IMMUTABLE)
    assert parse(text, deep_immutable=True) == Unknown(text, Flaw.MUST_BE_DEEP_IMMUTABLE)


def test_nothing_of_a_capability_is_shown_by_repr_but_the_head_of_its_storage_index():
    cap = SlotWrite(SEED)
    for form in (cap, cap.read_only(), cap.verifier()):
        assert repr(form) == f"<{type(form).__name__} ywqbmpck>"
