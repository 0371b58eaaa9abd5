"""The lease index answers alike on disk and in memory, is trusted only after a clean end, and is disposable."""

from __future__ import annotations

import sqlite3
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.codec.container import RELEASED_OWNER
from tahoe.errors import NoSpace
from tahoe.storage.disk import DiskStore
from tahoe.storage.filesystem import RealFileSystem
from tahoe.storage.leaseindex import FILE, NEVER, SLOT, Entry, Kept, MemoryLeaseIndex, ShareName
from tahoe.storage.sqliteindex import SqliteLeaseIndex
from tahoe.storage.store import CONTAINER_ROOM, StoreOptions
from tests.storage.samples import NOW, PERIOD, index, lease, share

SIZE = len(share(1, 0)) + CONTAINER_ROOM


def entry(
    number: int, expires: int = 100, size: int = 10, discarded: int = 0, kind: int = FILE, owner: int = 2
) -> Entry:
    return Entry(ShareName(kind, index(number), number % 3), size, {owner: expires}, discarded)


class LeaseIndexConformance:
    """Subclasses give a fixture ``make``: makes an index on the same place each time."""

    @pytest.fixture
    def lease_index(self, make):
        made = make()
        made.begin(0)
        made.count_anew()
        made.counted()
        return made

    def test_shares_are_found_by_the_end_of_their_leases(self, lease_index):
        for number, expires in enumerate((50, 10, 30, 20, 40)):
            lease_index.put(entry(number, expires))
        assert [each.expires for each in lease_index.expiring(15, 40, 10)] == [20, 30, 40]
        assert [each.expires for each in lease_index.expiring(float("-inf"), float("inf"), 2)] == [10, 20]
        assert lease_index.expiring(51, 99, 5) == []
        assert lease_index.ending(15, 40) == Kept(30, 3)
        assert lease_index.ending(float("-inf"), float("inf")) == Kept(50, 5)
        assert lease_index.ending(51, 99) == Kept(0, 0)

    def test_the_last_lease_decides_and_a_share_without_readable_leases_never_ends(self, lease_index):
        lease_index.put(Entry(ShareName(FILE, index(0), 0), 1, {2: 30, 3: 70, 4: 50}))
        lease_index.put(Entry(ShareName(SLOT, index(0), 0), 1, {}))
        found = lease_index.expiring(float("-inf"), float("inf"), 5)
        assert [(each.name.kind, each.expires) for each in found] == [(FILE, 70), (SLOT, NEVER)]
        assert found[0].leases == {2: 30, 3: 70, 4: 50}

    def test_the_trash_is_told_in_the_order_in_which_it_came(self, lease_index):
        for number, discarded in enumerate((5, 0, 3, 4)):
            lease_index.put(entry(number, 100, discarded=discarded))
        assert [each.discarded for each in lease_index.discarded(10)] == [3, 4, 5]
        assert len(lease_index.discarded(2)) == 2
        assert len(lease_index.expiring(0, 1000, 10)) == 1

    def test_sums_follow_every_change(self, lease_index):
        name = ShareName(FILE, index(0), 0)
        lease_index.put(Entry(name, 10, {2: 5, 3: 6}))
        lease_index.put(entry(1, size=7, owner=3))
        assert lease_index.live() == Kept(17, 2)
        assert lease_index.owners() == {2: Kept(10, 1), 3: Kept(17, 2)}
        lease_index.put(Entry(name, 12, {3: 6}))
        assert lease_index.owners() == {3: Kept(19, 2)}
        lease_index.put(Entry(name, 12, {3: 6}, discarded=9))
        assert (lease_index.live(), lease_index.trash()) == (Kept(7, 1), Kept(12, 1))
        lease_index.remove(name)
        lease_index.remove(name)
        assert (lease_index.live(), lease_index.trash()) == (Kept(7, 1), Kept(0, 0))
        assert lease_index.find(name) is None

    def test_what_is_released_counts_for_nobody(self, lease_index):
        lease_index.put(entry(0, owner=RELEASED_OWNER))
        assert lease_index.owners() == {}
        assert lease_index.live() == Kept(10, 1)

    def test_a_share_whose_last_lease_has_ended_is_nobodys_and_goes_as_it_would_have(self, lease_index):
        lease_index.put(entry(1, 100, owner=7))
        lease_index.put(entry(2, 200, owner=7))
        before = lease_index.live()
        for number in (1, 2, 3):
            lease_index.release(entry(number).name, 100)
        assert lease_index.live() == before
        assert {owner: kept.shares for owner, kept in lease_index.owners().items()} == {7: 1}
        assert [each.expires for each in lease_index.expiring(0, 300, 9)] == [100, 200]

    def test_it_is_trusted_after_a_clean_end_and_once_only(self, make, lease_index):
        lease_index.put(entry(0))
        lease_index.put(entry(1, discarded=4))
        mark = lease_index.end()
        assert mark > 0
        again = make()
        assert again.begin(mark)
        assert again.complete
        assert (again.live(), again.trash(), again.owners()) == (Kept(10, 1), Kept(10, 1), {2: Kept(10, 1)})
        assert again.find(entry(1).name) == entry(1, discarded=4)
        assert again.end() > mark

    def test_it_is_not_trusted_with_another_mark_or_none(self, make, lease_index):
        mark = lease_index.end()
        for other in (0, mark + 1):
            again = make()
            assert not again.begin(other)
            assert not again.complete
            again.flush()

    def test_a_count_forgets_what_is_not_reported_and_keeps_what_changes_meanwhile(self, lease_index):
        for number in range(4):
            lease_index.put(entry(number))
        lease_index.count_anew()
        assert not lease_index.complete
        lease_index.put(entry(0, size=99))
        lease_index.put(entry(7))
        lease_index.put(entry(1))
        lease_index.remove(entry(1).name)
        assert lease_index.live() is not None
        lease_index.counted()
        assert lease_index.complete
        assert lease_index.live() == Kept(109, 2)
        assert lease_index.owners() == {2: Kept(109, 2)}
        assert {each.name for each in lease_index.expiring(0, 1000, 9)} == {entry(0).name, entry(7).name}

    def test_an_end_in_the_middle_of_a_count_leaves_nothing_to_trust(self, make, lease_index):
        lease_index.count_anew()
        mark = lease_index.end()
        assert mark == 0
        assert not make().begin(1)

    def test_what_is_kept_is_not_known_before_anything_was_counted(self, make):
        fresh = make()
        fresh.begin(0)
        assert fresh.live() is None


class TestMemoryLeaseIndex(LeaseIndexConformance):
    @pytest.fixture
    def make(self):
        one = MemoryLeaseIndex()
        return lambda: one


class TestSqliteLeaseIndex(LeaseIndexConformance):
    @pytest.fixture
    def make(self, tmp_path):
        return lambda: SqliteLeaseIndex(tmp_path / "index")


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from([FILE, SLOT]), st.integers(0, 50), st.integers(0, 3), st.sampled_from([2, 3])
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(CHANGES, CHANGES)
def test_whatever_is_reported_both_answer_the_same(tmp_path_factory, before, meanwhile):
    twins = [SqliteLeaseIndex(tmp_path_factory.mktemp("index") / "file"), MemoryLeaseIndex()]
    for twin in twins:
        twin.begin(0)
        for changes in (before, meanwhile):
            twin.count_anew()
            for number, kind, expires, discarded, owner in changes:
                if expires:
                    twin.put(entry(number, expires, expires, discarded, kind, owner))
                else:
                    twin.remove(entry(number, kind=kind).name)
            twin.counted()
    one, two = twins
    assert one.expiring(0, 99, 99) == two.expiring(0, 99, 99)
    assert one.discarded(99) == two.discarded(99)
    assert (one.live(), one.trash(), one.owners()) == (two.live(), two.trash(), two.owners())
    one.end()


# --- a store and its index ---------------------------------------------------------------------------------------


def opened(root, **options) -> DiskStore:
    store = DiskStore(
        RealFileSystem(root), StoreOptions(**options), index=SqliteLeaseIndex(root / "lease-index.sqlite")
    )
    return store.open()


def filled(root, shares: int = 5) -> DiskStore:
    store = opened(root)
    for number in range(shares):
        store.store(index(number), {0: share(1, 0)}, lease(number), NOW + number)
    return store


def killed(store: DiskStore) -> None:
    """What the end of a process does to the index: the transaction that was open is as if it had never been."""
    store.books().index._connection.rollback()
    store.books().index._connection.close()


def facts(store: DiskStore):
    books = store.books().index
    return books.expiring(0, 2**40, 1000), books.discarded(1000), books.live(), books.owners()


def test_after_a_clean_end_nothing_is_walked(tmp_path, monkeypatch):
    store = filled(tmp_path)
    store.discard(index(3), 0, int(NOW) + 3 + PERIOD, NOW)
    expected = facts(store)
    store.shut()
    monkeypatch.setattr(DiskStore, "_report_all", None)
    assert facts(opened(tmp_path)) == expected


@pytest.mark.parametrize("harm", ["killed", "deleted", "truncated", "overwritten", "stale", "emptied", "mark lost"])
def test_an_index_that_is_lost_damaged_or_of_another_day_is_made_anew(tmp_path, harm):
    file = tmp_path / "lease-index.sqlite"
    store = filled(tmp_path, 3)
    store.shut()
    old = file.read_bytes()
    store = filled(tmp_path, 5)
    store.discard(index(1), 0, int(NOW) + 1 + PERIOD, NOW + 7)
    store.cancel_lease(index(2), lease(2).cancel_secret, NOW)
    expected = facts(store)
    if harm == "killed":
        killed(store)
    else:
        store.shut()
    if harm == "deleted":
        file.unlink()
    elif harm == "truncated":
        file.write_bytes(file.read_bytes()[:5000])
    elif harm == "overwritten":
        file.write_bytes(Random(1).randbytes(20_000))
    elif harm == "stale":
        file.write_bytes(old)
    elif harm == "emptied":
        file.write_bytes(b"")
    elif harm == "mark lost":
        (tmp_path / "index-mark").unlink()
    store = opened(tmp_path)
    assert store.books().index.complete
    assert facts(store) == expected


def test_an_index_whose_file_vanishes_under_its_hands_is_counted_anew_while_shares_are_served(tmp_path):
    store = filled(tmp_path)
    expected = facts(store)
    store.books().index._connection.execute("DROP TABLE shares")
    store.add_lease(index(0), lease(0), 1, NOW + 50)
    assert not store.books().index.complete
    assert store.read(index(0), 0, 0, 10**6) == share(1, 0)
    assert store.books().index.live() is not None, "sums go on from what they were"
    while not store.catch_up(2):
        store.store(index(9), {0: share(1, 0)}, lease(9), NOW + 9)
    found = facts(store)
    assert len(found[0]) == 6
    assert found[0][0] == expected[0][1]
    assert found[2] == Kept(6 * SIZE, 6)


def test_a_server_that_does_not_know_what_it_keeps_takes_nothing_until_it_has_counted(tmp_path, monkeypatch):
    store = filled(tmp_path)
    store.shut()
    (tmp_path / "lease-index.sqlite").unlink()
    monkeypatch.setattr("tahoe.storage.disk.FIRST_COUNT", 2)
    store = opened(tmp_path, sizelimit=6 * SIZE)
    with pytest.raises(NoSpace, match="counting"):
        store.store(index(7), {0: share(1, 0)}, lease(), NOW)
    assert store.add_lease(index(1), lease(5), 1, NOW) == 1
    while not store.catch_up(1):
        assert store.read(index(4), 0, 0, 10) == share(1, 0)[:10]
    assert store.books().index.live() == Kept(5 * SIZE + 72, 5)
    with pytest.raises(NoSpace, match="available"):
        store.store(index(7), {0: share(1, 0)}, lease(), NOW)


def test_two_starts_after_a_crash_count_twice_and_agree(tmp_path):
    store = filled(tmp_path)
    expected = facts(store)
    for _ in range(2):
        killed(store)
        store = opened(tmp_path)
        assert facts(store) == expected


def test_the_file_is_sqlite_and_small(tmp_path):
    store = filled(tmp_path)
    store.shut()
    with sqlite3.connect(tmp_path / "lease-index.sqlite") as connection:
        assert connection.execute("SELECT COUNT(*) FROM shares").fetchone() == (5,)
