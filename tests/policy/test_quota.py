"""Those whom an operator has named have a quota each; all others share one pool."""

from __future__ import annotations

from tahoe.policy.quota import ROOTS, UNLIMITED, Allowances, Excess, Member

ALLOWED = Allowances({"alice": Member(1000, ("v0-desk", "v0-phone")), "v0-bob": Member()}, pool=500)


def test_several_nodes_may_be_one_members():
    assert ALLOWED.account_of("v0-phone") == "alice"
    assert ALLOWED.account_of("v0-bob") == "v0-bob"


def test_an_excess_says_whose_how_much_and_by_how_much():
    found = ALLOWED.excess("alice", 300, {"alice": 900})
    assert found == Excess("alice", 900, 1000, 200)
    assert str(found) == "account alice keeps 900 of 1000 bytes here; this is 200 bytes too much"
    assert ALLOWED.excess("alice", 100, {"alice": 900}) is None


def test_who_has_no_limit_may_keep_anything():
    assert ALLOWED.excess("v0-bob", 10**15, {"v0-bob": 10**15}) is None
    assert Allowances().excess("anybody", 10**15, {}) is None


def test_strangers_and_nobody_fill_one_pool():
    usage = {"v0-x": 200, "": 100, "v0-y": 150, "alice": 900, ROOTS: 10**6}
    assert ALLOWED.kept("v0-new", usage) == 450
    assert ALLOWED.excess("v0-new", 50, usage) is None
    assert ALLOWED.excess("v0-new", 51, usage) == Excess("", 450, 500, 1)


def test_the_named_roots_have_an_account_of_their_own():
    assert not ALLOWED.is_pooled(ROOTS)
    assert ALLOWED.quota_of(ROOTS) == UNLIMITED
    assert Allowances({ROOTS: Member(10)}).excess(ROOTS, 11, {}) == Excess(ROOTS, 0, 10, 1)


def test_what_takes_nothing_is_never_too_much():
    assert ALLOWED.excess("alice", 0, {"alice": 5000}) is None
