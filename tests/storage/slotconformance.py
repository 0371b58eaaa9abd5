"""The contract of ``SlotStore`` as tests: every store must pass all of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tahoe.codec.container import stored_secret
from tahoe.codec.slot import SlotShape
from tahoe.errors import NoSpace, Refused
from tahoe.protocol import Lease
from tahoe.storage.slotfile import FIRST_LEASES
from tahoe.storage.store import StoreOptions
from tests.storage.samples import NOW, PERIOD, content, index, lease, share
from tests.storage.slotsamples import Writer, change, records_of


def refusal(function, *arguments) -> str:
    with pytest.raises(Refused) as caught:
        function(*arguments)
    return caught.value.code


def put(store, writer, encoded, base=None, *, numbers=(0,), leased=0, now=NOW):
    store.write(writer.index, {number: change(encoded, number, base) for number in numbers}, lease(leased), now)


def carries(store, writer, encoded, number=0):
    """Whether a share is this version's, in every part of it that can be asked for."""
    head = store.head(writer.index, number)
    assert head.proof == encoded.proof
    assert head.chain == tuple(encoded.chain(number).values())
    count = encoded.version.shape.segment_count
    assert store.read(writer.index, number, range(count)) == records_of(encoded, number)
    tree = store.tree(writer.index, number)
    assert tree.leaf_count == count
    assert tree.root == encoded.block_trees[number].root
    for segment in range(count):
        assert tree.path(segment) == encoded.block_trees[number].path(segment)
    assert store.scrub(writer.index, number).sound
    return True


class SlotStoreConformance:
    """Subclasses give a fixture ``build``: options to a store of shares and, in its ``slots``, one of slots."""

    @pytest.fixture
    def both(self, build):
        return build(StoreOptions())

    @pytest.fixture
    def store(self, both):
        return both.slots

    # --- versions ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 128, 1000])
    def test_a_new_share_is_read_back(self, store, size):
        writer = Writer()
        first = writer.write(content(1, size))
        put(store, writer, first, numbers=(2, 0))
        assert store.numbers(writer.index) == (0, 2)
        assert carries(store, writer, first, 0)
        assert carries(store, writer, first, 2)

    @pytest.mark.parametrize("after", [0, 1, 64, 100, 128, 129, 200, 256, 300, 1000, 5000])
    @pytest.mark.parametrize("before", [0, 1, 64, 100, 128, 200, 256, 1000])
    def test_a_share_grows_and_shrinks(self, store, before, after):
        writer = Writer()
        first = writer.write(content(1, before))
        second = writer.write(content(1, after), first)
        put(store, writer, first)
        put(store, writer, second, first)
        assert carries(store, writer, second)

    def test_a_segment_changes_and_the_others_stay(self, store):
        writer = Writer()
        data = bytearray(content(1, 640))
        first = writer.write(bytes(data))
        put(store, writer, first)
        for position in (0, 639, 320, 64):
            data[position] ^= 1
            second = writer.write(bytes(data), first)
            put(store, writer, second, first)
            assert carries(store, writer, second)
            first = second

    def test_a_tree_that_was_cut_grows_again_as_if_it_had_never_been_larger(self, store):
        writer = Writer()
        base = None
        for turn, size in enumerate((64 * 9, 64 * 3, 64 * 5, 64, 64 * 17, 0, 64 * 4)):
            encoded = writer.write(content(turn, size), base)
            put(store, writer, encoded, base)
            assert carries(store, writer, encoded)
            base = encoded

    @pytest.mark.parametrize("shape", [SlotShape(2, 3, 32, 0), SlotShape(1, 5, 64, 0), SlotShape(3, 3, 66, 0)])
    def test_a_share_is_replaced_whole_by_one_that_is_cut_otherwise(self, store, shape):
        writer = Writer()
        first = writer.write(content(1, 500))
        put(store, writer, first, numbers=(0, 1))
        writer.shape = shape
        writer.homes = Writer(1, shape).homes
        second = writer.write(content(2, 700), sequence=2)
        put(store, writer, second)
        assert carries(store, writer, second)
        assert carries(store, writer, first, 1)

    def test_what_is_not_there_is_not_there(self, store):
        writer = Writer()
        put(store, writer, writer.write(b"x"))
        assert store.numbers(index(1)) == ()
        for storage_index, number in ((writer.index, 1), (index(1), 0)):
            for method in (store.head, store.tree, store.leases, store.scrub):
                assert refusal(method, storage_index, number) == "no-such-share"
            assert refusal(store.read, storage_index, number, (0,)) == "no-such-share"
            assert refusal(store.advise_corrupt, storage_index, number, "gone", NOW) == "no-such-share"

    def test_names_and_secrets_that_can_be_none_are_refused(self, store):
        writer = Writer()
        changes = {0: change(writer.write(b"x"), 0)}
        assert refusal(store.write, b"short", changes, lease(), NOW) == "bad-request"
        assert refusal(store.write, writer.index, {256: changes[0]}, lease(), NOW) == "bad-request"
        assert refusal(store.write, writer.index, changes, Lease(b"r", b"c"), NOW) == "bad-request"
        assert refusal(store.numbers, b"short") == "bad-request"
        assert refusal(store.cancel_lease, writer.index, b"short", NOW) == "bad-request"
        assert store.numbers(writer.index) == ()

    def test_indexes_are_told_in_order_and_from_any_place_on(self, store):
        writers = [Writer(number) for number in range(20)]
        for writer in writers:
            put(store, writer, writer.write(b"x"))
        indexes = sorted(writer.index for writer in writers)
        assert list(store.storage_indexes()) == indexes
        for position, storage_index in enumerate(indexes):
            assert list(store.storage_indexes(storage_index)) == indexes[position + 1 :]

    # --- leases -----------------------------------------------------------------------------------------

    def test_a_write_brings_its_lease_to_the_shares_that_it_changes(self, store):
        writer = Writer()
        first = writer.write(b"one")
        put(store, writer, first, numbers=(0, 1))
        put(store, writer, writer.write(b"two", first), first, leased=1, now=NOW + 10)
        assert [(each.owner, each.expires) for each in store.leases(writer.index, 0)] == [
            (0, NOW + PERIOD),
            (0, NOW + PERIOD + 10),
        ]
        assert len(store.leases(writer.index, 1)) == 1

    def test_secrets_are_kept_hashed(self, store):
        writer = Writer()
        put(store, writer, writer.write(b"x"))
        (found,) = store.leases(writer.index, 0)
        secrets = stored_secret(2, lease().renew_secret), stored_secret(2, lease().cancel_secret)
        assert (found.renew_secret, found.cancel_secret) == secrets

    def test_a_lease_is_renewed_forward_and_never_back(self, store):
        writer = Writer()
        put(store, writer, writer.write(b"x"), numbers=(0, 1))
        for now, expected in ((NOW + 100, NOW + 100), (NOW - 100, NOW + 100)):
            assert store.add_lease(writer.index, lease(), 1, now) == 2
            assert [each.expires for each in store.leases(writer.index, 1)] == [expected + PERIOD]
        assert store.add_lease(index(9), lease(), 1, NOW) == 0

    def test_there_is_room_for_any_number_of_leases(self, store):
        writer = Writer()
        first = writer.write(content(1, 300))
        put(store, writer, first)
        for number in range(3 * FIRST_LEASES):
            store.add_lease(writer.index, lease(number), 1, NOW)
        assert len(store.leases(writer.index, 0)) == 3 * FIRST_LEASES
        assert carries(store, writer, first)
        second = writer.write(content(2, 300), first)
        put(store, writer, second, first, leased=99)
        assert len(store.leases(writer.index, 0)) == 3 * FIRST_LEASES + 1
        assert carries(store, writer, second)

    def test_a_share_that_loses_its_last_lease_stays_and_is_nobodys(self, store):
        writer = Writer()
        first = writer.write(b"x")
        put(store, writer, first, numbers=(0, 1))
        store.add_lease(writer.index, lease(1), 1, NOW)
        assert store.cancel_lease(writer.index, lease(7).cancel_secret, NOW) == 0
        assert store.cancel_lease(writer.index, lease(0).cancel_secret, NOW) == 2
        assert store.cancel_lease(writer.index, lease(1).cancel_secret, NOW) == 2
        assert store.leases(writer.index, 0) == ()
        assert carries(store, writer, first, 1)
        assert store.add_lease(writer.index, lease(2), 1, NOW) == 2
        assert [each.expires for each in store.leases(writer.index, 0)] == [NOW + PERIOD]
        assert store.cancel_lease(writer.index, lease(2).cancel_secret, NOW) == 2

    # --- the trash --------------------------------------------------------------------------------------

    def test_what_is_discarded_is_seen_by_nobody_until_a_lease_brings_it_back(self, store):
        writer = Writer()
        first = writer.write(content(1, 300))
        put(store, writer, first, numbers=(0, 1))
        assert store.discard(writer.index, 0, int(NOW) + PERIOD, NOW)
        assert store.numbers(writer.index) == (1,)
        assert refusal(store.head, writer.index, 0) == "no-such-share"
        assert store.add_lease(writer.index, lease(1), 1, NOW) == 2
        assert carries(store, writer, first, 0)
        assert len(store.leases(writer.index, 0)) == 2

    def test_what_was_renewed_meanwhile_is_not_discarded(self, store):
        writer = Writer()
        put(store, writer, writer.write(b"x"))
        store.add_lease(writer.index, lease(), 1, NOW + 50)
        assert not store.discard(writer.index, 0, int(NOW) + PERIOD, NOW)
        assert store.numbers(writer.index) == (0,)
        assert not store.discard(writer.index, 1, int(NOW) + PERIOD, NOW)

    def test_what_is_purged_is_gone_and_may_be_written_anew(self, store):
        writer = Writer()
        put(store, writer, writer.write(content(1, 300)))
        assert not store.purge(writer.index, 0)
        store.discard(writer.index, 0, int(NOW) + PERIOD, NOW)
        assert store.purge(writer.index, 0)
        assert store.restore(writer.index) == 0
        assert list(store.storage_indexes()) == []
        again = writer.write(b"again", sequence=1)
        put(store, writer, again)
        assert carries(store, writer, again)

    # --- room -------------------------------------------------------------------------------------------

    def test_slots_and_shares_share_their_room(self, build):
        both = build(StoreOptions(sizelimit=8000))
        writer = Writer()
        both.store(index(1), {0: share(1, 0)}, lease(), NOW)
        left = both.space().available
        put(both.slots, writer, writer.write(content(1, 500)))
        assert both.space().shares == 2
        assert 250 + 400 < left - both.space().available < 2000
        both.slots.discard(writer.index, 0, int(NOW) + PERIOD, NOW)
        assert both.space().available == left
        assert both.space().shares == 1
        put(both.slots, Writer(2), Writer(2).write(content(1, 4400)))
        assert both.slots.restore(writer.index) == 0, "the trash gives way"

    def test_room_is_what_versions_take(self, build):
        both = build(StoreOptions(sizelimit=100_000))
        writer, base, left = Writer(), None, set()
        for size in (1000, 5000, 0, 20_000, 1000):
            encoded = writer.write(content(1, size), base)
            put(both.slots, writer, encoded, base)
            left.add((size, both.space().available))
            base = encoded
        assert len(left) == 4, "the same size takes the same room"
        assert sorted(left) == sorted(left, key=lambda pair: -pair[1])

    def test_a_version_that_there_is_no_room_for_leaves_the_share_as_it_was(self, build):
        both = build(StoreOptions(sizelimit=3000))
        writer = Writer()
        first = writer.write(content(1, 500))
        put(both.slots, writer, first)
        with pytest.raises(NoSpace):
            put(both.slots, writer, writer.write(content(1, 9000), first), first)
        assert carries(both.slots, writer, first)
        with pytest.raises(NoSpace):
            put(both.slots, writer, first, numbers=(1, 2))
        assert both.slots.numbers(writer.index) == (0,)
        smaller = writer.write(content(1, 100), first)
        put(both.slots, writer, smaller, first)
        assert carries(both.slots, writer, smaller)

    def test_a_read_only_server_takes_no_new_share(self, build):
        both = build(StoreOptions(readonly=True))
        writer = Writer()
        with pytest.raises(NoSpace):
            put(both.slots, writer, writer.write(b""))
        assert both.slots.numbers(writer.index) == ()

    # --- at once ----------------------------------------------------------------------------------------

    def test_writers_of_many_slots_do_not_disturb_one_another(self, store):
        writers = [Writer(number) for number in range(40)]

        def live(writer):
            base = None
            for turn in range(6):
                encoded = writer.write(content(turn, 50 + 300 * (turn % 3)), base)
                put(store, writer, encoded, base, numbers=(0, 2))
                base = encoded
            return carries(store, writer, base, 2)

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(live, writers))
        assert list(store.storage_indexes()) == sorted(writer.index for writer in writers)

    def test_who_holds_the_lock_sees_one_version(self, store):
        writer = Writer()
        versions = [writer.write(content(0, 640))]
        for turn in range(1, 30):
            versions.append(writer.write(content(turn, 64 * (turn % 7)), versions[-1]))
        put(store, writer, versions[0])

        def write():
            for before, after in pairwise(versions):
                put(store, writer, after, before)

        def read():
            while True:
                with store.lock(writer.index):
                    head = store.head(writer.index, 0)
                    encoded = versions[head.version.sequence - 1]
                    count = encoded.version.shape.segment_count
                    assert store.read(writer.index, 0, range(count)) == records_of(encoded, 0)
                    assert store.tree(writer.index, 0).root == encoded.block_trees[0].root
                if encoded is versions[-1]:
                    return True

        with ThreadPoolExecutor(4) as threads:
            readers = [threads.submit(read) for _ in range(3)]
            threads.submit(write).result(timeout=60)
            assert all(reader.result(timeout=60) for reader in readers)
