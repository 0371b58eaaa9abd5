"""The storage page: what its view tells, and what people see of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import expect

from tahoe.web.pages.storage import kept, storage
from tests.web.pages.samples import Books, account, storage_of_a_server

BYTES = st.integers(0, 10**15)


def drawn(**more):
    return storage({"storage": storage_of_a_server(**more)})


@pytest.mark.parametrize(
    ("more", "level", "words"),
    [
        ({"readonly": True, "accepts": 0}, "warn", "read-only"),
        ({"accepts": 0}, "bad", "its size limit is reached"),
        ({"accepts": 0, "sizelimit": None}, "bad", "its disk is full"),
        ({"available": 5 * 10**10}, "warn", "nearly full"),
        ({}, "good", "shares of up to 1 GB"),
    ],
)
def test_a_store_says_whether_it_takes_more_and_why_not(more, level, words):
    view = drawn(**more)
    assert view.level == level
    assert words in view.sentence


def test_a_node_that_keeps_nothing_has_nothing_to_draw():
    assert storage({"storage": None}) is None
    assert kept(None) is None
    assert drawn(capacity=0, available=0, bytes=None, trash=0).used == 100.0


@given(BYTES, BYTES, BYTES, BYTES)
def test_the_parts_of_the_room_fill_the_bar_and_no_more(capacity, available, size, trash):
    parts = drawn(capacity=capacity, available=min(available, capacity), bytes=size, trash=trash).parts
    assert all(part.bytes >= 0 and part.start >= 0 and part.start + part.width <= 100.01 for part in parts)
    assert parts[-1].kind == ""


def test_limits_are_told_in_words():
    assert dict(drawn().limits)["Size limit"] == "1 TB"
    told = dict(drawn(sizelimit=None, readonly=True).limits)
    assert (told["Size limit"], told["New shares"]) == ("none; the disk is the limit", "none: read-only")
    assert told["Trash"] == "stays for 14 days, unless room is short"


def test_leases_are_drawn_by_the_week_they_end_in():
    view = kept(asyncio.run(Books().here()))
    assert [end.when for end in view.ends] == ["has ended", "this week", "next week", "week 3", "week 4", "week 5"]
    assert [end.width for end in view.ends][4] == 100.0
    assert (view.ends[0].kind, view.ends[1].kind) == ("bad", "")


def test_accounts_are_told_with_their_quotas():
    view = kept(asyncio.run(Books().here()))
    assert [(each.name, each.quota, each.used) for each in view.accounts] == [
        ("alice", "400 GB", 75.0),
        ("v0-bobbbbbbb", "1 TB, with others", 98.0),
        ("nobody's", "no limit", None),
    ]


def test_who_keeps_nothing_is_told_only_if_he_was_named():
    here = asyncio.run(Books().here())
    here["accounts"] = [
        account("v0-a", 0, shares=0),
        account("carol", 0, shares=0, pooled=False, quota=0),
    ]
    assert [each.name for each in kept(here).accounts] == ["carol"]


def test_programs_get_the_same(site):
    told = json.loads(site.ask("GET", "/storage?t=json"))
    assert set(told) == {"storage", "here"}
    assert told["here"]["accounts"][0]["nickname"] == "alice"
    assert len(json.loads(site.ask("GET", "/storage?t=json&servers=true"))["mine"]) == 3


def test_people_see_leases_limits_accounts_and_trash_and_ask_for_what_is_theirs(profile):
    page = profile.page("/storage")
    for heading in ("Room for others", "Until when", "Limits", "Trash", "Who keeps what here", "Room on the grid"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="alice")).to_contain_text("400 GB")
    page.get_by_role("link", name="Ask the servers what you keep there").click()
    expect(page.get_by_role("row").filter(has_text="server2")).to_contain_text("did not answer")
    expect(page.get_by_text("You keep 3 GB on 2 of 3 servers.")).to_be_visible()
