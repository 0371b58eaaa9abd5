"""Which homes a slot gets, how many at a time, and when."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.codec.slot import SlotShape, SlotVersion
from tahoe.policy.register import Register, positions_of
from tahoe.policy.rehoming import better_homes, homes_at_a_time, may_rehome
from tahoe.session.identity import node_of

KEYS = [bytes([number]) * 32 for number in range(30)]


@dataclass(frozen=True)
class Place:
    permutation_seed: bytes
    nickname: str = ""
    location: str = ""

    @property
    def node(self):
        return node_of(self.permutation_seed)


SITES = [Place(key) for key in KEYS]
NODES = [place.node for place in SITES]


def version_of(homes, sequence=1, needed=3, author=""):
    root = author.encode().ljust(32, b"\0")
    return SlotVersion(sequence, root, SlotShape(needed, len(homes), needed, 0), tuple(homes))


def test_homes_that_leave_are_replaced_and_the_others_stay():
    homes = better_homes(version_of(KEYS[:10]), SITES, NODES[2:4])
    assert [number for number in range(10) if homes[number] != KEYS[number]] == [2, 3]
    assert len(set(homes)) == 10
    assert better_homes(version_of(KEYS[:10]), SITES, NODES[15:]) == tuple(KEYS[:10])
    assert better_homes(version_of(KEYS[:10]), [], NODES[:3]) == tuple(KEYS[:10])


@given(st.integers(1, 12), st.integers(1, 12))
def test_two_quorums_never_win_on_top_of_the_same_version_though_one_has_other_homes(needed, extra):
    shape = SlotShape(needed, needed + extra, needed, 0)
    moved = homes_at_a_time(shape)
    assert 2 * shape.quorum > shape.total + moved
    assert 2 * shape.quorum <= shape.total + moved + 1  # one more would be too many


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 19), max_size=19), st.lists(st.integers(0, 19), min_size=10, max_size=10))
def test_some_writes_later_no_home_is_unwanted_as_long_as_there_are_others(unwanted, start):
    version = version_of([KEYS[number] for number in start])
    shunned = [NODES[number] for number in sorted(unwanted)]
    sites = [site for site in SITES[:20] if site.node not in shunned]
    for _ in range(5):
        homes = better_homes(version, sites, shunned)
        changed = sum(old != new for old, new in zip(version.homes, homes, strict=True))
        assert changed <= homes_at_a_time(version.shape)
        version = version_of(homes)
    assert not {node_of(home) for home in version.homes} & set(shunned)


def heard(version, count, *others):
    register = Register()
    carried = [version] * count + list(others)
    for place, each in zip(positions_of(version), carried, strict=False):
        register.learn(place.home, {place.number: each})
    return register


@pytest.mark.parametrize(
    ("count", "others", "may"),
    [
        (10, (), True),
        (7, (), True),
        (6, (), False),
        (7, (version_of(KEYS[:10], 1),), True),
        (9, (version_of(KEYS[:10], 3, author="rival"),), False),
        (9, (version_of(KEYS[:10], 2, author="rival"),), False),
    ],
)
def test_only_a_version_that_has_won_and_has_no_rival_is_moved(count, others, may):
    version = version_of(KEYS[:10], 2)
    assert may_rehome(heard(version, count, *others), version) is may
