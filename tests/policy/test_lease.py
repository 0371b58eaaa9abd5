"""What nobody leases goes when room is short, oldest first, or when its grace is over, and no sooner."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tahoe.policy.lease import DAY, Collection, CollectionTerms, Room, purge

PERIOD = 31 * DAY
TERMS = CollectionTerms(grace=180 * DAY, window=14 * DAY, headroom=0.1)
NOW = 10_000 * DAY


@dataclass(frozen=True)
class Share:
    expires: float
    size: int = 10
    discarded: float = 0.0


def policy(since: float = 0.0) -> Collection:
    return Collection(TERMS, since, PERIOD)


def test_with_room_to_spare_only_those_go_whose_grace_is_over():
    shares = [Share(NOW - 181 * DAY), Share(NOW - 180 * DAY), Share(NOW - 179 * DAY), Share(NOW - 1)]
    assert policy().collect(shares, NOW, 0) == shares[:2]


def test_when_room_is_short_those_go_first_whose_leases_ended_first_and_no_more_than_need_be():
    shares = [Share(NOW - day * DAY) for day in (5, 4, 3, 2)]
    assert policy().collect(shares, NOW, 15) == shares[:2]
    assert policy().collect(shares, NOW, 1000) == shares


def test_what_is_leased_never_goes():
    assert policy().collect([Share(NOW + 1)], NOW, 10**9) == []


def test_a_server_new_to_its_shares_gives_everybody_a_period_to_renew():
    shares = [Share(NOW - 1000 * DAY)]
    new = policy(since=NOW)
    assert new.collect(shares, NOW + PERIOD, 10**9) == []
    assert new.collect(shares, NOW + PERIOD + DAY, 10**9) == shares
    assert new.collect(shares, NOW + PERIOD + 179 * DAY, 0) == []
    assert new.collect(shares, NOW + PERIOD + 181 * DAY, 0) == shares


def test_room_is_short_when_it_is_asked_for_or_the_headroom_is_gone():
    assert policy().shortage(Room(1000, 100)) == 0
    assert policy().shortage(Room(1000, 40)) == 60
    assert policy().shortage(Room(1000, 40), wanted=50) == 110


def test_trash_is_kept_for_its_window():
    trash = [Share(0, discarded=NOW - 15 * DAY), Share(0, discarded=NOW - 14 * DAY), Share(0, discarded=NOW - DAY)]
    assert policy().forget(trash, NOW) == trash[:2]


@given(st.lists(st.integers(1, 50)), st.integers(0, 500))
def test_of_the_trash_goes_as_little_as_makes_the_room(sizes, missing):
    trash = [Share(0, size, discarded=number) for number, size in enumerate(sizes)]
    gone = purge(trash, missing)
    assert gone == trash[: len(gone)]
    assert sum(each.size for each in gone) >= min(missing, sum(sizes))
    assert sum(each.size for each in gone[:-1]) < max(missing, 1)


@given(st.lists(st.floats(NOW - 400 * DAY, NOW + 100 * DAY)), st.floats(NOW - 400 * DAY, NOW), st.integers(0, 300))
def test_nothing_goes_that_is_leased_or_came_before_its_owner_could_renew(ends, since, shortage):
    shares = [Share(end) for end in sorted(ends)]
    for share in policy(since).collect(shares, NOW, shortage):
        assert share.expires <= NOW
        assert since + PERIOD < NOW
