"""Places: what a URL names, whatever is in a name."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.codec.capability import Directory, SlotWrite, parse
from tahoe.errors import BadCapability
from tahoe.web.errors import WebError
from tahoe.web.manner import Manner
from tahoe.web.places import MOST_NAMES, Place, parse_place, place_of

CAP = Directory(SlotWrite(b"s" * 32))

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
starts = st.one_of(st.just(CAP), st.just(parse("URI:LIT:krugkidfnzsa")), names)


def at(raw: bytes) -> Place:
    return place_of({"raw_path": raw, "path": ""})


@given(starts, st.lists(names, max_size=5))
def test_a_place_is_found_by_its_url(start, path):
    place = Place(start, tuple(path))
    assert at(place.url.encode("ascii")) == place


@given(names)
def test_a_slash_in_a_name_never_parts_it(name):
    place = at(f"/vdrive/private/{name.encode().hex('%', 1).join(['%', ''])}".encode())
    assert place.path == (name,)


def test_a_slash_at_the_end_says_nothing():
    assert at(b"/vdrive/private/a/") == at(b"/vdrive/private/a")
    assert at(b"/vdrive/private/") == Place("private")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"/vdrive/private/%ff", 400),
        (b"/vdrive/%C3", 400),
        (b"/vdrive/private/a//b", 400),
        (b"/vdrive/private/" + b"a/" * (MOST_NAMES + 1), 400),
        (b"/vdrive/private/" + b"x" * 10_000, 414),
        (b"/vdrive", 404),
        (b"/uri/", 404),
    ],
)
def test_what_names_no_place_is_refused(raw, status):
    with pytest.raises(WebError) as refused:
        at(raw)
    assert refused.value.status == status


@pytest.mark.parametrize("text", ["hello", "URI:DIR3:short", "URI:CHK:", "uri:lit:", ".."])
def test_a_capability_that_is_none_is_refused_without_being_repeated(text):
    with pytest.raises(BadCapability) as refused:
        at(f"/uri/{text}".encode())
    assert text not in str(refused.value)


def test_a_capability_of_a_later_release_is_a_place():
    assert str(at(b"/uri/URI:NEW:abc").start) == "URI:NEW:abc"


def test_the_target_of_a_move_is_named_in_plain_words():
    assert parse_place(f"{CAP}/a b/c") == Place(CAP, ("a b", "c"))
    assert parse_place("root:global/a%2Fb") == Place("global", ("a%2Fb",))
    assert parse_place("root:private") == Place("private")


def test_a_place_shows_no_capability_when_it_is_printed():
    assert "ssss" not in repr(Place(CAP, ("a",)))
    assert str(CAP) not in repr(Place(CAP, ("a",)))


@given(st.text(), st.booleans())
def test_no_name_gets_out_of_a_disposition(name, save):
    headers = Manner(name, save=save).headers()
    for value in headers.values():
        value.encode("latin-1")
        assert not set(value) & set("\r\n\0")
    told = headers.get("Content-Disposition", "")
    assert told.count('"') in {0, 2}
    assert not set(unquote(told.partition("UTF-8''")[2])) & set("/\\\r\n\0")
