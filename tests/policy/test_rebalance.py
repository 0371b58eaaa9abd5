"""Which shares move, and that nothing moves twice."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tahoe.policy.domains import SpreadOverDomains, domain_of, most_in_domain, report
from tahoe.policy.happiness import happiness
from tahoe.policy.placement import Candidate
from tahoe.policy.rebalance import DOMAIN, EVEN, LEAVE, SPREAD, Takers, next_move
from tahoe.policy.repair import FillGaps


@dataclass(frozen=True)
class Place:
    node: str
    location: str = ""
    nickname: str = ""

    @property
    def permutation_seed(self):
        return self.node.encode()


def nowhere(_):
    return ""


def sites(count, location=nowhere):
    return [Place(f"v0-{number}", location(number)) for number in range(count)]


def settled(holders, takers, needed=3, total=10, most=100):
    """Make all moves; who has what in the end, and the moves."""
    holders = {number: list(nodes) for number, nodes in holders.items()}
    moves = []
    while (move := next_move(needed, total, holders, takers)) is not None:
        assert len(moves) < most, "it never ends"
        assert move.source in holders[move.number]
        assert move.target not in holders[move.number]
        holders[move.number] = [*(node for node in holders[move.number] if node != move.source), move.target]
        moves.append(move)
    return holders, moves


def one_each(count=10):
    return {number: [f"v0-{number}"] for number in range(count)}


def test_a_well_spread_file_stays_where_it_is():
    assert next_move(3, 10, one_each(), Takers(sites(15))) is None


def test_new_servers_get_shares_of_crowded_ones_until_each_has_one():
    crowded = {number: [f"v0-{number % 5}"] for number in range(10)}
    holders, moves = settled(crowded, Takers(sites(10)))
    assert {move.reason for move in moves} == {SPREAD}
    assert len(moves) == 5
    assert happiness(holders) == 10


def test_everything_leaves_a_server_that_is_going_and_nothing_goes_there():
    holders, moves = settled(one_each(), Takers(sites(12), leaving=("v0-3", "v0-10")))
    assert [(move.number, move.source, move.target, move.reason) for move in moves] == [(3, "v0-3", "v0-11", LEAVE)]
    assert "v0-10" not in {node for nodes in holders.values() for node in nodes}


def test_a_share_that_is_elsewhere_too_need_not_leave():
    holders = one_each() | {3: ["v0-3", "v0-11"]}
    assert next_move(3, 10, holders, Takers(sites(12), leaving=("v0-3",))) is None


def test_a_site_gives_away_what_the_file_can_t_lose():
    where = sites(14, lambda number: "cellar" if number < 9 else f"house {number}")
    holders, moves = settled(one_each(), Takers(where))
    assert {move.reason for move in moves} == {DOMAIN}
    assert sum(int(nodes[0][3:]) < 9 for nodes in holders.values()) == most_in_domain(3, 10)


def test_a_full_server_gives_to_an_empty_one_but_not_for_little():
    load = {f"v0-{number}": 100.0 for number in range(10)} | {"v0-10": 0.0}
    assert next_move(3, 10, one_each(), Takers(sites(11), load=load)) is None
    load["v0-4"] = 300.0
    move = next_move(3, 10, one_each(), Takers(sites(11), load=load))
    assert (move.source, move.target, move.reason) == ("v0-4", "v0-10", EVEN)


def staying(holders, leaving):
    """What is left of a file when those who leave are gone."""
    left = {number: [node for node in nodes if node not in leaving] for number, nodes in holders.items()}
    return {number: nodes for number, nodes in left.items() if nodes}


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 11), min_size=1, max_size=3, unique=True), min_size=1),
    st.sets(st.integers(0, 11), max_size=11),
    st.integers(1, 4),
    st.lists(st.integers(0, 9), max_size=12),
)
@example({0: [1], 1: [2], 2: [3], 3: [6], 4: [0, 7], 5: [0, 9], 6: [4, 5, 8]}, {1, 2, 6}, 1, [])
@example({number: [number] for number in range(10)}, {0, 1, 2, 3}, 4, [])
def test_moving_always_ends_with_the_file_as_happy_as_can_be_and_never_less_on_the_way(held, leaving, towns, loads):
    """Who leaves doesn't count: of ten shares on ten servers, of which all but eight go, only eight can stay apart.

    So happiness is judged on the servers that stay, where it must never fall; and at the end it must be what it was
    with everybody counted, unless there are too few servers left for that.
    """
    holders = {number: [f"v0-{node}" for node in nodes] for number, nodes in held.items()}
    gone = [f"v0-{node}" for node in sorted(leaving)]
    where = sites(12, lambda number: f"town {number % towns}")
    load = {f"v0-{node}": 100.0 * amount for node, amount in enumerate(loads)}
    takers = Takers(where, leaving=gone, load=load)
    after, moves = settled(holders, takers)
    now = {number: list(nodes) for number, nodes in holders.items()}
    for move in moves:
        before = happiness(staying(now, gone))
        now[move.number] = [*(node for node in now[move.number] if node != move.source), move.target]
        assert happiness(staying(now, gone)) >= before
    assert after.keys() == staying(after, gone).keys() == holders.keys()
    assert (
        happiness(staying(after, gone)) == min(len(holders), 12 - len(gone)) >= min(happiness(holders), 12 - len(gone))
    )


# --- domains ------------------------------------------------------------------------------------------------------


def candidates(count, location, **holds):
    return [Candidate(f"v0-{n}", holds.get(f"s{n}", ()), location=location(n)) for n in range(count)]


def test_who_says_nothing_of_where_he_stands_is_a_domain_of_his_own():
    assert domain_of(Place("v0-1")) == "v0-1"
    assert domain_of(Place("v0-1", "home/attic/nas")) == "home"


def test_no_site_gets_more_than_the_file_can_lose_where_there_are_enough():
    rule = SpreadOverDomains(3)
    homes = rule.assign(10, candidates(20, lambda n: "cellar" if n < 15 else f"house {n}"))
    assert sum(int(node[3:]) < 15 for node in homes.values()) == 7
    assert sorted(homes) == list(range(10))


def test_with_too_few_sites_everything_is_stored_all_the_same_and_the_report_says_so():
    rule = SpreadOverDomains(3)
    everybody = candidates(12, lambda _: "cellar")
    homes = rule.assign(10, everybody)
    assert sorted(homes) == list(range(10))
    where = {number: [Place(node, "cellar")] for number, node in homes.items()}
    assert report(3, 10, where).crowded == ("cellar",)
    assert "10 shares at cellar" in report(3, 10, where).text


def test_gaps_are_filled_in_the_emptiest_domains_and_nothing_else_changes():
    holds = {f"s{n}": (n,) for n in range(8)}
    everybody = candidates(12, lambda n: "cellar" if n < 10 else "attic", **holds)
    homes = FillGaps([8, 9]).assign(10, everybody)
    assert {homes[8], homes[9]} == {"v0-10", "v0-11"}
    assert all(homes[number] == f"v0-{number}" for number in range(8))
