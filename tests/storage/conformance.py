"""The contract of ``ShareStore`` as tests: every store must pass all of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from random import Random

import pytest

from tahoe.errors import NoSpace, Refused
from tahoe.policy.quota import Allowances, Member
from tahoe.protocol import Lease, ShareFacts
from tahoe.storage.books import OwnedLease, Usage
from tahoe.storage.leaseindex import FILE, ShareName
from tahoe.storage.store import CONTAINER_ROOM, StoreOptions
from tests.storage.samples import MINE, NOW, PERIOD, THEIRS, content, flipped, index, lease, share, ueb_hash

HERE = index(0)


def refusal(function, *arguments) -> str:
    with pytest.raises(Refused) as caught:
        function(*arguments)
    return caught.value.code


def upload(store, storage_index, secret, number, data, now=NOW):
    if store.allocate(storage_index, secret, (number,), len(data), lease(), now)[0]:
        store.write(storage_index, secret, number, 0, data, now)
    return store.close(storage_index, secret, (number,))


def owned(store, account: str, number: int) -> OwnedLease:
    """The lease of an account."""
    secrets = lease(number)
    return OwnedLease(secrets.renew_secret, secrets.cancel_secret, store.books().number_of(account))


class StoreConformance:
    """Subclasses give a fixture ``build``: options to a store."""

    @pytest.fixture
    def store(self, build):
        return build(StoreOptions())

    # --- whole shares -----------------------------------------------------------------------------------

    def test_a_stored_share_is_listed_and_read_back(self, store):
        assert store.store(HERE, {2: share(1, 2), 0: share(1, 0)}, lease(), NOW) == ((0, 2), {})
        size = len(share(1, 0))
        assert list(store.shares(HERE).items()) == [
            (0, ShareFacts(0, size, ueb_hash(1))),
            (2, ShareFacts(2, size, ueb_hash(1))),
        ]
        assert store.read(HERE, 2, 0, size) == share(1, 2)

    def test_a_read_is_cut_where_the_share_ends(self, store):
        store.store(HERE, {0: b"0123456789"}, lease(), NOW)
        assert store.read(HERE, 0, 7, 100) == b"789"
        assert store.read(HERE, 0, 10, 1) == b""
        assert store.read(HERE, 0, 10**12, 10**12) == b""
        assert store.read(HERE, 0, 3, 0) == b""

    def test_a_read_before_the_share_begins_is_refused(self, store):
        store.store(HERE, {0: b"0123456789"}, lease(), NOW)
        assert refusal(store.read, HERE, 0, -1, 5) == "bad-request"
        assert refusal(store.read, HERE, 0, 0, -1) == "bad-request"

    def test_what_is_not_there_is_not_there(self, store):
        store.store(HERE, {1: b"x"}, lease(), NOW)
        assert store.shares(index(1)) == {}
        assert refusal(store.read, HERE, 0, 0, 1) == "no-such-share"
        assert refusal(store.read, index(1), 1, 0, 1) == "no-such-share"
        assert refusal(store.leases, index(1), 1) == "no-such-share"
        assert refusal(store.scrub, index(1), 1) == "no-such-share"
        assert refusal(store.replace_corrupt, index(1), 1, share(1, 1)) == "no-such-share"
        assert refusal(store.advise_corrupt, index(1), 1, "it is gone", NOW) == "no-such-share"

    def test_bytes_that_are_no_share_are_kept_but_named_as_nobodys(self, store):
        store.store(HERE, {0: content(1, 500)}, lease(), NOW)
        assert store.shares(HERE) == {0: ShareFacts(0, 500, b"")}

    def test_an_empty_share_is_a_share(self, store):
        store.store(HERE, {0: b""}, lease(), NOW)
        assert upload(store, HERE, MINE, 1, b"") == (1,)
        assert store.read(HERE, 0, 0, 10) == store.read(HERE, 1, 0, 10) == b""

    def test_storing_again_keeps_the_first_and_says_so(self, store):
        store.store(HERE, {0: share(1, 0)}, lease(), NOW)
        stored, present = store.store(HERE, {0: share(2, 0), 1: share(1, 1)}, lease(), NOW)
        assert stored == (1,)
        assert present == {0: ShareFacts(0, len(share(1, 0)), ueb_hash(1))}
        assert store.read(HERE, 0, 0, 10**6) == share(1, 0)

    def test_names_that_can_be_none_are_refused(self, store):
        assert refusal(store.store, b"short", {0: b"x"}, lease(), NOW) == "bad-request"
        for number in (-1, 256):
            assert refusal(store.store, HERE, {number: b"x"}, lease(), NOW) == "bad-request"
            assert refusal(store.allocate, HERE, MINE, (number,), 1, lease(), NOW) == "bad-request"
        assert refusal(store.allocate, HERE, b"short", (0,), 1, lease(), NOW) == "bad-request"
        assert refusal(store.allocate, HERE, MINE, (0,), -1, lease(), NOW) == "bad-request"
        assert refusal(store.store, HERE, {0: b"x"}, Lease(b"r", b"c"), NOW) == "bad-request"
        assert store.shares(HERE) == {}

    # --- uploads ----------------------------------------------------------------------------------------

    def test_an_upload_is_invisible_until_it_is_closed(self, store):
        assert store.allocate(HERE, MINE, (0, 1), 10, lease(), NOW) == ((0, 1), {})
        store.write(HERE, MINE, 0, 0, b"0123456789", NOW)
        assert store.shares(HERE) == {}
        assert list(store.storage_indexes()) == []
        assert refusal(store.read, HERE, 0, 0, 1) == "no-such-share"
        assert store.close(HERE, MINE, (0,)) == (0,)
        assert list(store.shares(HERE)) == [0]

    def test_pieces_may_come_in_any_order_and_again(self, store):
        data = share(1, 0)
        rng = Random(5)
        pieces = [(start, data[start : start + 100]) for start in range(0, len(data), 70)] * 2
        rng.shuffle(pieces)
        store.allocate(HERE, MINE, (0,), len(data), lease(), NOW)
        for offset, piece in pieces:
            store.write(HERE, MINE, 0, offset, piece, NOW)
        store.close(HERE, MINE, (0,))
        assert store.read(HERE, 0, 0, len(data)) == data

    def test_bytes_written_twice_must_be_the_same(self, store):
        store.allocate(HERE, MINE, (0,), 10, lease(), NOW)
        store.write(HERE, MINE, 0, 2, b"2345", NOW)
        assert refusal(store.write, HERE, MINE, 0, 5, b"x", NOW) == "conflict"
        assert refusal(store.write, HERE, MINE, 0, 0, b"01x34", NOW) == "conflict"
        store.write(HERE, MINE, 0, 0, b"012345", NOW)
        store.write(HERE, MINE, 0, 4, b"456789", NOW)
        store.close(HERE, MINE, (0,))
        assert store.read(HERE, 0, 0, 10) == b"0123456789"

    def test_a_write_beyond_the_announced_size_is_refused(self, store):
        store.allocate(HERE, MINE, (0,), 10, lease(), NOW)
        assert refusal(store.write, HERE, MINE, 0, 9, b"xy", NOW) == "conflict"
        assert refusal(store.write, HERE, MINE, 0, -1, b"x", NOW) == "conflict"

    def test_a_share_with_bytes_missing_is_not_closed(self, store):
        store.allocate(HERE, MINE, (0, 1), 10, lease(), NOW)
        store.write(HERE, MINE, 0, 0, b"0123", NOW)
        store.write(HERE, MINE, 0, 5, b"56789", NOW)
        store.write(HERE, MINE, 1, 0, b"0123456789", NOW)
        assert refusal(store.close, HERE, MINE, (1, 0)) == "conflict"
        assert store.shares(HERE) == {}
        store.write(HERE, MINE, 0, 4, b"4", NOW)
        assert store.close(HERE, MINE, (1, 0)) == (1, 0)

    def test_closing_again_says_the_same(self, store):
        upload(store, HERE, MINE, 0, share(1, 0))
        assert store.close(HERE, MINE, (0,)) == (0,)
        assert store.close(HERE, THEIRS, (0,)) == (0,)

    def test_what_was_never_begun_is_not_closed_or_written(self, store):
        assert refusal(store.close, HERE, MINE, (0,)) == "no-such-upload"
        assert refusal(store.write, HERE, MINE, 0, 0, b"x", NOW) == "no-such-upload"

    def test_nobody_touches_an_upload_without_its_secret(self, store):
        store.allocate(HERE, MINE, (0,), 4, lease(), NOW)
        assert refusal(store.write, HERE, THEIRS, 0, 0, b"evil", NOW) == "no-such-upload"
        store.abort(HERE, THEIRS, (0,))
        store.write(HERE, MINE, 0, 0, b"good", NOW)
        assert refusal(store.close, HERE, THEIRS, (0,)) == "no-such-upload"
        store.close(HERE, MINE, (0,))
        assert store.read(HERE, 0, 0, 4) == b"good"

    def test_two_uploads_of_a_share_do_not_meet(self, store):
        data = share(1, 0)
        for secret in (MINE, THEIRS):
            assert store.allocate(HERE, secret, (0,), len(data), lease(), NOW)[0] == (0,)
        store.write(HERE, THEIRS, 0, 0, data[:100], NOW)
        store.write(HERE, MINE, 0, 0, data, NOW)
        store.close(HERE, MINE, (0,))
        store.write(HERE, THEIRS, 0, 100, data[100:], NOW)
        assert store.close(HERE, THEIRS, (0,)) == (0,)
        assert store.read(HERE, 0, 0, len(data)) == data

    def test_the_first_complete_share_stays_and_the_other_is_told(self, store):
        store.allocate(HERE, THEIRS, (0,), len(share(2, 0)), lease(), NOW)
        store.write(HERE, THEIRS, 0, 0, share(2, 0), NOW)
        upload(store, HERE, MINE, 0, share(1, 0))
        for _ in range(2):
            assert refusal(store.close, HERE, THEIRS, (0,)) == "conflict"
        assert store.read(HERE, 0, 0, 10**6) == share(1, 0)
        before = store.space().available
        store.abort(HERE, THEIRS, (0,))
        assert store.space().available > before

    def test_allocating_again_goes_on_with_the_upload(self, store):
        assert store.allocate(HERE, MINE, (0, 1), 10, lease(), NOW)[0] == (0, 1)
        store.write(HERE, MINE, 0, 0, b"01234", NOW)
        available = store.space().available
        assert store.allocate(HERE, MINE, (0, 1), 10, lease(), NOW)[0] == (0, 1)
        assert abs(store.space().available - available) < 10
        store.write(HERE, MINE, 0, 5, b"56789", NOW)
        assert store.close(HERE, MINE, (0,)) == (0,)

    def test_allocating_again_with_another_size_is_refused(self, store):
        store.allocate(HERE, MINE, (0,), 10, lease(), NOW)
        assert refusal(store.allocate, HERE, MINE, (0,), 11, lease(), NOW) == "conflict"

    def test_allocating_tells_all_shares_that_are_there(self, store):
        store.store(HERE, {0: share(1, 0), 2: share(1, 2)}, lease(), NOW)
        allocated, present = store.allocate(HERE, MINE, (0, 1), 10, lease(), NOW)
        assert allocated == (1,)
        assert present == store.shares(HERE)

    def test_an_aborted_upload_is_gone_and_may_be_begun_anew(self, store):
        store.allocate(HERE, MINE, (0,), 10, lease(), NOW)
        store.write(HERE, MINE, 0, 0, b"old", NOW)
        store.abort(HERE, MINE, (0, 1, 7))
        store.abort(HERE, MINE, (0,))
        assert refusal(store.write, HERE, MINE, 0, 0, b"x", NOW) == "no-such-upload"
        assert upload(store, HERE, MINE, 0, b"new") == (0,)

    def test_aborting_leaves_complete_shares_alone(self, store):
        upload(store, HERE, MINE, 0, b"whole")
        store.abort(HERE, MINE, (0,))
        assert store.read(HERE, 0, 0, 10) == b"whole"

    def test_only_uploads_that_stand_still_are_swept(self, store):
        store.allocate(HERE, MINE, (0, 1), 10, lease(), NOW)
        store.write(HERE, MINE, 1, 0, b"x", NOW + 50)
        assert store.abort_idle(NOW + 60, 60.0) == 1
        assert refusal(store.write, HERE, MINE, 0, 0, b"x", NOW) == "no-such-upload"
        store.write(HERE, MINE, 1, 1, b"y", NOW + 61)
        assert store.abort_idle(NOW + 100, 60.0) == 0

    # --- leases -----------------------------------------------------------------------------------------

    def test_a_new_share_has_the_uploads_lease_with_its_secrets_hashed(self, store):
        store.store(HERE, {0: b"x"}, lease(3), NOW + 0.9)
        upload(store, index(1), MINE, 1, b"y")
        found = store.leases(HERE, 0)
        hashed = [
            blake2b(secret, digest_size=32).digest() for secret in (lease(3).renew_secret, lease(3).cancel_secret)
        ]
        assert found == ((0, *hashed, int(NOW) + PERIOD),)
        assert [each.owner for each in store.leases(index(1), 1)] == [0]

    def test_a_lease_is_added_to_every_share_of_the_index(self, store):
        store.store(HERE, {0: b"x", 1: b"yy"}, lease(1), NOW)
        store.store(index(1), {0: b"z"}, lease(1), NOW)
        assert store.add_lease(HERE, lease(2), 1, NOW + 10) == 2
        for number in (0, 1):
            assert [(each.owner, each.expires) for each in store.leases(HERE, number)] == [
                (0, int(NOW) + PERIOD),
                (1, int(NOW) + 10 + PERIOD),
            ]
        assert len(store.leases(index(1), 0)) == 1
        assert store.read(HERE, 1, 0, 10) == b"yy"
        assert store.add_lease(index(9), lease(2), 1, NOW) == 0

    def test_a_renewal_moves_the_expiry_forward_and_never_back(self, store):
        store.store(HERE, {0: b"x"}, lease(1), NOW)
        for later, due in ((100, 100), (50, 100), (200, 200)):
            store.add_lease(HERE, lease(1), 1, NOW + later)
            assert [(each.owner, each.expires) for each in store.leases(HERE, 0)] == [(0, int(NOW) + PERIOD + due)]

    def test_storing_and_allocating_lease_what_is_there(self, store):
        store.store(HERE, {0: b"x"}, lease(1), NOW)
        store.store(HERE, {0: b"x"}, lease(2), NOW)
        store.allocate(HERE, MINE, (1,), 10, lease(3), NOW)
        assert [each.owner for each in store.leases(HERE, 0)] == [0, 0, 0]

    def test_a_share_that_loses_its_last_lease_stays_and_is_nobodys(self, store):
        store.store(HERE, {0: b"x", 1: b"y"}, lease(1), NOW)
        store.add_lease(HERE, lease(2), 1, NOW)
        assert store.cancel_lease(HERE, lease(9).cancel_secret, NOW) == 0
        assert store.cancel_lease(HERE, lease(1).cancel_secret, NOW) == 2
        assert [each.owner for each in store.leases(HERE, 1)] == [1]
        assert store.read(HERE, 0, 0, 1) == b"x"
        assert store.cancel_lease(HERE, lease(2).cancel_secret, NOW + 5) == 2
        assert store.leases(HERE, 0) == ()
        assert store.read(HERE, 1, 0, 1) == b"y"
        assert store.books().index.find(ShareName(FILE, HERE, 0)).expires == int(NOW) + 5
        assert store.add_lease(HERE, lease(3), 1, NOW) == 2
        assert [each.owner for each in store.leases(HERE, 1)] == [1]
        assert store.cancel_lease(HERE, lease(3).cancel_secret, NOW + 9) == 2
        assert store.books().index.find(ShareName(FILE, HERE, 1)).expires == int(NOW) + 9

    def test_whoever_renews_a_lease_that_is_nobodys_owns_it(self, store):
        store.store(HERE, {0: b"x"}, lease(1), NOW)
        store.add_lease(HERE, lease(1), 7, NOW)
        assert [each.owner for each in store.leases(HERE, 0)] == [7]
        store.add_lease(HERE, lease(1), 8, NOW + 1)
        assert [(each.owner, each.expires) for each in store.leases(HERE, 0)] == [(7, int(NOW) + 1 + PERIOD)]

    # --- the trash --------------------------------------------------------------------------------------

    def test_what_is_discarded_is_seen_by_nobody_until_a_lease_brings_it_back(self, store):
        store.store(HERE, {0: share(1, 0), 1: share(1, 1)}, lease(1), NOW)
        store.read(HERE, 0, 0, 10)
        assert store.discard(HERE, 0, int(NOW) + PERIOD, NOW)
        assert list(store.shares(HERE)) == [1]
        assert refusal(store.read, HERE, 0, 0, 1) == "no-such-share"
        assert store.add_lease(HERE, lease(2), 1, NOW) == 2
        assert store.read(HERE, 0, 0, 10**6) == share(1, 0)
        assert len(store.leases(HERE, 0)) == 2

    def test_an_index_of_which_all_is_in_the_trash_is_not_listed(self, store):
        store.store(HERE, {0: b"x"}, lease(1), NOW)
        store.discard(HERE, 0, int(NOW) + PERIOD, NOW)
        assert list(store.storage_indexes()) == []
        assert store.restore(HERE) == 1
        assert store.restore(HERE) == 0
        assert list(store.storage_indexes()) == [HERE]

    def test_storing_what_is_in_the_trash_brings_it_back(self, store):
        store.store(HERE, {0: share(1, 0)}, lease(1), NOW)
        store.discard(HERE, 0, int(NOW) + PERIOD, NOW)
        assert store.allocate(HERE, MINE, (0,), 10, lease(2), NOW)[0] == ()
        assert store.read(HERE, 0, 0, 10**6) == share(1, 0)

    def test_what_was_renewed_meanwhile_is_not_discarded(self, store):
        store.store(HERE, {0: b"x"}, lease(1), NOW)
        store.add_lease(HERE, lease(1), 1, NOW + 50)
        assert not store.discard(HERE, 0, int(NOW) + PERIOD, NOW)
        assert not store.discard(HERE, 1, int(NOW) + PERIOD, NOW)
        assert list(store.shares(HERE)) == [0]

    def test_what_is_purged_is_gone_and_may_be_stored_anew(self, store):
        store.store(HERE, {0: b"x"}, lease(1), NOW)
        assert not store.purge(HERE, 0)
        store.discard(HERE, 0, int(NOW) + PERIOD, NOW)
        assert store.purge(HERE, 0)
        assert store.restore(HERE) == 0
        assert store.store(HERE, {0: b"again"}, lease(1), NOW)[0] == (0,)
        assert store.read(HERE, 0, 0, 10) == b"again"

    def test_the_trash_is_room_and_its_oldest_goes_first(self, build):
        store = build(StoreOptions(sizelimit=3 * (1000 + CONTAINER_ROOM)))
        for number in (0, 1):
            store.store(index(number), {0: bytes(1000)}, lease(), NOW)
        for age, number in ((2, 1), (1, 0)):
            store.discard(index(number), 0, int(NOW) + PERIOD, NOW - age)
        assert store.space().accepts == 3 * (1000 + CONTAINER_ROOM) - CONTAINER_ROOM
        assert store.space().shares == 0
        store.store(index(2), {0: bytes(1000)}, lease(), NOW)
        assert store.books().index.trash().shares == 2
        store.allocate(index(3), MINE, (0,), 1000, lease(), NOW)
        assert (store.restore(index(1)), store.restore(index(0))) == (0, 1)
        assert store.space().available == 0

    # --- accounts ---------------------------------------------------------------------------------------

    def test_the_books_say_who_keeps_how_much(self, store):
        mine, yours = owned(store, "me", 1), owned(store, "you", 2)
        store.store(HERE, {0: bytes(1000), 1: bytes(1000)}, mine, NOW)
        store.add_lease(HERE, yours, yours.owner, NOW)
        store.allocate(index(1), MINE, (0,), 500, yours, NOW)
        two = 2 * (1000 + CONTAINER_ROOM + 72)
        assert store.books().usage() == {"me": Usage(two, 2), "you": Usage(two + 500 + CONTAINER_ROOM, 2)}
        store.cancel_lease(HERE, mine.cancel_secret, NOW)
        store.abort(index(1), MINE, (0,))
        assert store.books().usage() == {"you": Usage(2 * (1000 + CONTAINER_ROOM), 2)}

    def test_who_is_over_his_quota_is_told_by_how_much_and_may_renew_all_the_same(self, store):
        mine = owned(store, "me", 1)
        store.books().allow(Allowances({"me": Member(2200)}))
        store.store(HERE, {0: bytes(1000)}, mine, NOW)
        store.store(index(1), {0: bytes(1000)}, lease(7), NOW)
        for attempt in (
            lambda: store.store(index(2), {0: bytes(1100)}, mine, NOW),
            lambda: store.allocate(index(2), MINE, (0,), 1100, mine, NOW),
            lambda: store.add_lease(index(1), mine, mine.owner, NOW) and store.store(index(2), {0: b""}, mine, NOW),
        ):
            with pytest.raises(
                Refused, match=r"over-quota.*account me keeps \d+ of 2200 bytes here; this is \d+ bytes"
            ):
                attempt()
        store.books().allow(Allowances({"me": Member(10)}))
        assert store.add_lease(HERE, mine, mine.owner, NOW + 50) == 1
        assert store.leases(HERE, 0)[0].expires == int(NOW) + 50 + PERIOD

    def test_uploads_under_way_count_against_the_quota(self, store):
        mine = owned(store, "me", 1)
        store.books().allow(Allowances({"me": Member(2200)}))
        store.allocate(HERE, MINE, (0,), 1000, mine, NOW)
        store.allocate(index(1), MINE, (0,), 1000, mine, NOW)
        with pytest.raises(Refused, match="over-quota"):
            store.allocate(index(2), MINE, (0,), 1000, mine, NOW)
        store.abort(HERE, MINE, (0,))
        store.allocate(index(2), MINE, (0,), 1000, mine, NOW)

    def test_those_who_are_not_known_share_one_pool(self, store):
        store.books().allow(Allowances({"friend": Member(5000)}, pool=2200))
        store.store(HERE, {0: bytes(1000)}, owned(store, "one", 1), NOW)
        store.store(index(1), {0: bytes(1000)}, owned(store, "two", 2), NOW)
        with pytest.raises(Refused, match="the common pool"):
            store.store(index(2), {0: bytes(1000)}, owned(store, "three", 3), NOW)
        store.store(index(2), {0: bytes(1000)}, owned(store, "friend", 4), NOW)

    def test_cancelling_keeps_the_other_leases_in_their_order(self, store):
        store.store(HERE, {0: content(1, 600)}, lease(0), NOW)
        for number in range(1, 12):
            store.add_lease(HERE, lease(number), number, NOW + number)
        before = store.leases(HERE, 0)
        store.cancel_lease(HERE, lease(4).cancel_secret, NOW)
        assert store.leases(HERE, 0) == before[:4] + before[5:]
        assert store.read(HERE, 0, 0, 1000) == content(1, 600)

    # --- walking ----------------------------------------------------------------------------------------

    def test_storage_indexes_come_in_ascending_order(self, store):
        indexes = sorted(index(number) for number in range(40))
        for each in sorted(indexes, key=lambda each: each[::-1]):
            store.store(each, {0: b"x"}, lease(), NOW)
        assert list(store.storage_indexes()) == indexes
        for place in (0, 17, 39):
            assert list(store.storage_indexes(indexes[place])) == indexes[place + 1 :]

    # --- room -------------------------------------------------------------------------------------------

    def test_room_is_set_aside_when_an_upload_begins(self, build):
        store = build(StoreOptions(sizelimit=3 * (1000 + CONTAINER_ROOM)))
        store.allocate(HERE, MINE, (0, 1), 1000, lease(), NOW)
        assert store.space().available == 1000 + CONTAINER_ROOM
        assert store.space().accepts == 1000
        with pytest.raises(NoSpace):
            store.allocate(index(1), MINE, (0,), 1001, lease(), NOW)
        with pytest.raises(NoSpace):
            store.allocate(index(1), MINE, (0, 1), 1000, lease(), NOW)
        with pytest.raises(NoSpace):
            store.store(index(1), {0: bytes(1001)}, lease(), NOW)
        assert store.store(index(1), {0: bytes(1000)}, lease(), NOW)[0] == (0,)
        assert store.space().available == 0
        store.abort(HERE, MINE, (0, 1))
        assert store.space().available == 2 * (1000 + CONTAINER_ROOM)
        assert store.space().shares == 1

    def test_room_is_the_same_before_and_after_closing(self, build):
        store = build(StoreOptions(sizelimit=10_000))
        store.allocate(HERE, MINE, (0,), 1000, lease(), NOW)
        store.write(HERE, MINE, 0, 0, bytes(700), NOW)
        store.write(HERE, MINE, 0, 500, bytes(500), NOW)
        before = store.space().available
        store.close(HERE, MINE, (0,))
        assert store.space().available == before == 10_000 - 1000 - CONTAINER_ROOM

    def test_what_nobody_leases_any_more_makes_room(self, build):
        store = build(StoreOptions(sizelimit=10_000))
        store.store(HERE, {0: bytes(1000)}, lease(1), NOW)
        store.add_lease(HERE, lease(2), 1, NOW)
        assert store.space().available == 10_000 - 1000 - CONTAINER_ROOM - 72
        store.cancel_lease(HERE, lease(1).cancel_secret, NOW)
        store.cancel_lease(HERE, lease(2).cancel_secret, NOW)
        assert store.space().available == 10_000 - 1000 - CONTAINER_ROOM
        store.discard(HERE, 0, int(NOW), NOW)
        assert store.space().available == 10_000

    def test_the_second_upload_of_a_share_gives_its_room_back(self, build):
        store = build(StoreOptions(sizelimit=10_000))
        for secret in (MINE, THEIRS):
            store.allocate(HERE, secret, (0,), 1000, lease(), NOW)
            store.write(HERE, secret, 0, 0, bytes(1000), NOW)
        store.close(HERE, MINE, (0,))
        store.close(HERE, THEIRS, (0,))
        assert store.space().available == 10_000 - 1000 - CONTAINER_ROOM

    def test_space_reserved_for_others_is_not_taken(self, build):
        store = build(StoreOptions(reserved_space=2**62))
        assert store.space().accepts == store.space().available == 0
        with pytest.raises(NoSpace):
            store.store(HERE, {0: b"x"}, lease(), NOW)

    def test_a_read_only_store_takes_nothing_new(self, build):
        store = build(StoreOptions(readonly=True))
        assert store.space().accepts == 0
        with pytest.raises(NoSpace):
            store.store(HERE, {0: b"x"}, lease(), NOW)
        with pytest.raises(NoSpace):
            store.allocate(HERE, MINE, (0,), 1, lease(), NOW)
        assert store.shares(HERE) == {}

    # --- corruption -------------------------------------------------------------------------------------

    def test_a_scrub_finds_the_flipped_bit_and_nothing_else(self, store):
        sound = share(1, 1)
        store.store(HERE, {1: sound}, lease(), NOW)
        store.store(index(1), {1: flipped(sound, 50)}, lease(), NOW)
        store.store(index(2), {0: sound}, lease(), NOW)
        assert store.scrub(HERE, 1).sound
        assert not store.scrub(index(1), 1).sound
        assert not store.scrub(index(2), 0).sound

    def test_a_corrupt_share_is_replaced_and_keeps_its_leases(self, store):
        sound = share(1, 1)
        store.store(HERE, {1: flipped(sound, 60)[:-5]}, lease(1), NOW)
        store.add_lease(HERE, lease(2), 1, NOW)
        leases = store.leases(HERE, 1)
        store.read(HERE, 1, 0, 10)
        assert store.replace_corrupt(HERE, 1, sound) is True
        assert store.read(HERE, 1, 0, 10**6) == sound
        assert store.shares(HERE) == {1: ShareFacts(1, len(sound), ueb_hash(1))}
        assert store.leases(HERE, 1) == leases
        assert store.replace_corrupt(HERE, 1, sound) is False

    def test_a_sound_share_is_never_replaced(self, store):
        store.store(HERE, {1: share(1, 1)}, lease(), NOW)
        assert store.replace_corrupt(HERE, 1, share(2, 1)) is False
        assert store.read(HERE, 1, 0, 10**6) == share(1, 1)

    def test_a_corrupt_share_is_not_replaced_by_another(self, store):
        corrupt = flipped(share(1, 1), 50)
        store.store(HERE, {1: corrupt}, lease(), NOW)
        for offered in (content(2, 500), share(1, 0), flipped(share(1, 1), 70), flipped(share(1, 1), 3), b""):
            assert refusal(store.replace_corrupt, HERE, 1, offered) == "conflict"
        assert store.read(HERE, 1, 0, 10**6) == corrupt

    def test_a_share_of_an_unknown_version_is_left_alone(self, store):
        future = flipped(share(1, 1), 2)
        store.store(HERE, {1: future}, lease(), NOW)
        assert "version" in store.scrub(HERE, 1).reason
        assert store.replace_corrupt(HERE, 1, share(1, 1)) is False
        assert store.read(HERE, 1, 0, 10**6) == future

    def test_a_readers_report_changes_nothing(self, store):
        store.store(HERE, {1: share(1, 1)}, lease(), NOW)
        store.advise_corrupt(HERE, 1, "block 3 is wrong / ../../x\n", NOW)
        store.advise_corrupt(HERE, 1, "block 3 is wrong", NOW)
        assert store.read(HERE, 1, 0, 10**6) == share(1, 1)

    # --- many at once -----------------------------------------------------------------------------------

    def test_many_threads_store_and_upload_at_once(self, build):
        store = build(StoreOptions(sizelimit=10**6))

        def work(worker: int) -> None:
            secret = b"%032d" % worker
            for number in range(6):
                store.store(index(number), {0: share(number, 0)}, lease(worker), NOW)
                upload(store, index(number), secret, 1, share(number, 1))
                store.allocate(index(number), secret, (2,), 100, lease(worker), NOW)
                store.abort(index(number), secret, (2,))
                assert store.read(index(number), 0, 0, 10**6) == share(number, 0)

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(work, worker) for worker in range(4)]:
                done.result()
        assert list(store.storage_indexes()) == sorted(index(number) for number in range(6))
        for number in range(6):
            assert [store.scrub(index(number), each).reason for each in store.shares(index(number))] == ["", ""]
            assert len(store.leases(index(number), 0)) == 4
        leases = sum(len(store.leases(index(number), each)) for number in range(6) for each in (0, 1))
        used = sum(12 + len(share(number, each)) for number in range(6) for each in (0, 1)) + 72 * leases
        assert store.space().available == 10**6 - used
