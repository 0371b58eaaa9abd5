"""A server takes a version of a slot only when all of it is proven, and only on top of exactly what it has."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tahoe.actors.slotkeeping import CONFLICT, DAMAGED, PRESENT, WRITTEN, read_slot, slots_held, write_slot
from tahoe.actors.slotterms import SlotTerms
from tahoe.actors.storage import StorageServer, Upkeep
from tahoe.codec.slot import (
    EncodedSlot,
    SlotProof,
    SlotShape,
    SlotVersion,
    SparseTree,
    block_leaf,
    climb,
    decode_slot_segment,
    path_places,
    share_root_tree,
)
from tahoe.errors import NoSpace, Refused
from tahoe.protocol import (
    AddLeases,
    Address,
    AdviseCorrupt,
    CancelLeases,
    LeaseWanted,
    ReadSlot,
    ShareToStore,
    StoreShares,
    WriteSlot,
)
from tahoe.session.settings import SMALLEST_MESSAGE_BYTES
from tahoe.storage.disk import DiskStore
from tahoe.storage.diskslots import path_of
from tahoe.storage.filesystem import VolatileFileSystem
from tahoe.storage.memory import MemoryStore
from tahoe.storage.slotfile import SlotContainer
from tahoe.storage.store import StoreOptions
from tests.actors.rig import Rig
from tests.storage.samples import NOW, content, lease
from tests.storage.slotconformance import carries
from tests.storage.slotsamples import Writer, different, name, offer, request

AMPLE = 10**6


@pytest.fixture
def store():
    return MemoryStore().slots


@pytest.fixture
def disk():
    return VolatileFileSystem()


@pytest.fixture
def disk_store(disk):
    return DiskStore(disk).open().slots


def written(store, writer, encoded, *shares, leased=None) -> list[str]:
    """The outcomes of writing shares."""
    answer = write_slot(store, request(writer, encoded, *shares, leased=leased), NOW)
    assert [outcome.number for outcome in answer.outcomes] == [share.number for share in shares]
    return [outcome.outcome for outcome in answer.outcomes]


def refused(store, writer, encoded, *shares) -> bool:
    with pytest.raises(Refused) as caught:
        write_slot(store, request(writer, encoded, *shares), NOW)
    return caught.value.code == "bad-request"


def fill(store, writer, encoded, base=None, numbers=(0,)):
    shares = [offer(encoded, number, base) for number in numbers]
    assert written(store, writer, encoded, *shares) == [WRITTEN] * len(shares)
    return encoded


def read(store, writer, offset=0, length=AMPLE, room=AMPLE, **more):
    return read_slot(store, ReadSlot(writer.index, offset, length, room, **more)).shares


# --- versions that follow one another ----------------------------------------------------------------------


def test_new_shares_are_taken_whole(store):
    writer = Writer()
    first = fill(store, writer, writer.write(content(1, 500)), numbers=(2, 0))
    assert carries(store, writer, first, 0)
    assert carries(store, writer, first, 2)


def test_a_change_is_taken_from_the_segments_that_differ(store):
    writer = Writer()
    first = fill(store, writer, writer.write(content(1, 640)))
    second = writer.write(content(1, 320) + content(2, 64) + content(1, 640)[384:], first)
    assert different(second, first) == [5]
    fill(store, writer, second, first)
    assert carries(store, writer, second)


@pytest.mark.parametrize("sizes", [(0, 10, 0), (64, 65, 64, 640, 63, 1), (1000, 0, 1000)])
def test_a_slot_grows_and_shrinks_to_nothing_and_back(store, sizes):
    writer, base = Writer(), None
    for size in sizes:
        base = fill(store, writer, writer.write(content(1, size), base), base)
        assert carries(store, writer, base)


def test_a_version_that_is_there_already_is_present_whatever_it_was_to_replace(store):
    writer = Writer()
    first = fill(store, writer, writer.write(content(1, 100)))
    second = fill(store, writer, writer.write(content(2, 100), first), first)
    for share in (offer(second, 0, first), offer(second, 0), offer(second, 0, second)):
        assert written(store, writer, second, share) == [PRESENT]
    assert carries(store, writer, second)


def test_each_share_of_a_request_has_its_own_outcome(store):
    writer = Writer()
    first = fill(store, writer, writer.write(content(1, 100)), numbers=(0, 1))
    second = writer.write(content(2, 100), first)
    fill(store, writer, second, first, numbers=(1,))
    shares = [offer(second, 1, first), offer(second, 2, first), offer(second, 0, first)]
    assert written(store, writer, second, *shares) == [PRESENT, CONFLICT, WRITTEN]
    assert carries(store, writer, second, 0)
    assert store.numbers(writer.index) == (0, 1)


def test_sequence_numbers_may_leave_gaps(store):
    writer = Writer()
    first = fill(store, writer, writer.write(b"one", sequence=7))
    assert carries(store, writer, fill(store, writer, writer.write(b"two", first, sequence=900), first))


def test_a_slot_may_be_cut_otherwise_if_all_of_it_comes(store):
    writer = Writer()
    first = fill(store, writer, writer.write(content(1, 500)))
    other = Writer(1, SlotShape(1, 4, 100, 0))
    second = other.write(content(2, 500), sequence=2)
    share = msgspec.structs.replace(offer(second, 0), replaces=name(first))
    assert written(store, other, second, share) == [WRITTEN]
    assert carries(store, other, second)
    third = writer.write(content(1, 500), first, sequence=3)
    partial = msgspec.structs.replace(offer(third, 0), replaces=name(second), blocks=offer(third, 0).blocks[1:])
    assert refused(store, writer, third, partial)


# --- what is not on top of exactly what is there -------------------------------------------------------------


def test_of_two_writers_of_one_sequence_number_the_first_stands_and_the_second_is_told_what_does(store):
    writer = Writer()
    first = fill(store, writer, writer.write(content(1, 100)))
    mine = fill(store, writer, writer.write(content(2, 100), first), first)
    theirs = writer.write(content(3, 100), first)
    (outcome,) = write_slot(store, request(writer, theirs, offer(theirs, 0, first)), NOW).outcomes
    assert (outcome.outcome, outcome.signed.version) == (CONFLICT, mine.proof.version)
    assert written(store, writer, theirs, offer(theirs, 0, mine, whole=True)) == [CONFLICT], "its number is no higher"
    assert carries(store, writer, mine)


def test_an_old_version_that_is_sent_again_is_refused(store):
    writer = Writer()
    first = fill(store, writer, writer.write(content(1, 300)))
    second = fill(store, writer, writer.write(content(2, 300), first), first)
    for base in (None, first, second):
        share = msgspec.structs.replace(offer(first, 0), replaces=name(base))
        assert written(store, writer, first, share) == [CONFLICT]
    assert carries(store, writer, second)


def test_what_is_to_be_replaced_must_be_there_and_what_is_there_must_be_named(store):
    writer = Writer()
    first = writer.write(content(1, 300))
    second = writer.write(content(2, 300), first)
    (outcome,) = write_slot(store, request(writer, second, offer(second, 0, first)), NOW).outcomes
    assert (outcome.outcome, outcome.signed) == (CONFLICT, None)
    fill(store, writer, first)
    assert written(store, writer, second, offer(second, 0)) == [CONFLICT]
    assert carries(store, writer, first)


def test_a_version_of_the_same_name_with_other_homes_is_not_the_one_that_is_there(store):
    writer = Writer()
    first = fill(store, writer, writer.write(content(1, 10)))
    moved = Writer()
    moved.homes = moved.homes[::-1]
    twin = moved.write(content(1, 10))
    assert twin.version.identity == first.version.identity
    assert written(store, writer, twin, offer(twin, 0, first, whole=True)) == [CONFLICT]


# --- what is no proof ----------------------------------------------------------------------------------------


def test_the_owner_of_another_key_can_not_write_here(store):
    writer, intruder = Writer(1), Writer(2)
    first = fill(store, writer, writer.write(content(1, 100)))
    junk = intruder.write(content(2, 100), sequence=9)
    for base in (None, first):
        share = msgspec.structs.replace(offer(junk, 0), replaces=name(base))
        order = msgspec.structs.replace(request(intruder, junk, share), storage_index=writer.index)
        with pytest.raises(Refused, match="public key"):
            write_slot(store, order, NOW)
    assert carries(store, writer, first)


def test_the_owner_of_another_key_can_not_come_first_either(store):
    writer, intruder = Writer(1), Writer(2)
    junk = intruder.write(content(2, 100))
    order = msgspec.structs.replace(request(intruder, junk, offer(junk, 0)), storage_index=writer.index)
    with pytest.raises(Refused, match="public key"):
        write_slot(store, order, NOW)
    assert store.numbers(writer.index) == ()


def test_a_signature_of_another_version_is_none(store):
    writer = Writer()
    first, second = writer.write(b"one"), writer.write(b"two", sequence=2)
    mixed = msgspec.structs.replace(request(writer, second, offer(second, 0)).signed, signature=first.proof.signature)
    order = msgspec.structs.replace(request(writer, second, offer(second, 0)), signed=mixed)
    with pytest.raises(Refused, match="signature"):
        write_slot(store, order, NOW)


def test_the_share_of_another_number_is_not_taken_for_this_one(store):
    writer = Writer()
    first = writer.write(content(1, 300))
    swapped = msgspec.structs.replace(offer(first, 0), number=1)
    assert refused(store, writer, first, offer(first, 2), swapped)
    assert store.numbers(writer.index) == (), "nothing of such a request is done"


def test_a_number_that_the_version_does_not_have_is_refused(store):
    writer = Writer()
    first = writer.write(content(1, 300))
    assert refused(store, writer, first, msgspec.structs.replace(offer(first, 0), number=3))
    assert refused(store, writer, first, msgspec.structs.replace(offer(first, 0), number=300))
    assert refused(store, writer, first, offer(first, 0), offer(first, 0))


def test_segments_that_are_new_here_must_come(store):
    writer = Writer()
    first = fill(store, writer, writer.write(content(1, 300)))
    second = writer.write(content(2, 700), first)
    whole = offer(second, 0, first)
    for missing in range(len(whole.blocks)):
        blocks = whole.blocks[:missing] + whole.blocks[missing + 1 :]
        assert refused(store, writer, second, msgspec.structs.replace(whole, blocks=blocks))
    assert refused(store, writer, second, msgspec.structs.replace(whole, blocks=()))
    assert carries(store, writer, first)


def test_a_new_share_lacking_a_segment_is_refused(store):
    writer = Writer()
    first = writer.write(content(1, 300))
    for missing in range(5):
        blocks = [block for block in offer(first, 0).blocks if block.segment != missing]
        assert refused(store, writer, first, msgspec.structs.replace(offer(first, 0), blocks=tuple(blocks)))


def test_blocks_of_wrong_length_or_twice_or_beyond_the_end_are_refused(store):
    writer = Writer()
    first = writer.write(content(1, 300))
    good = offer(first, 0)
    (head, *others) = good.blocks
    for wrong in (
        msgspec.structs.replace(head, data=head.data + b"x"),
        msgspec.structs.replace(head, data=b""),
        msgspec.structs.replace(head, salt=head.salt + b"x"),
        msgspec.structs.replace(head, salt=head.salt + head.data[:1], data=head.data[1:]),
        msgspec.structs.replace(head, segment=5),
        msgspec.structs.replace(head, segment=-1),
        msgspec.structs.replace(head, segment=2),
    ):
        assert refused(store, writer, first, msgspec.structs.replace(good, blocks=(wrong, *others)))
    assert store.numbers(writer.index) == ()


@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_chain_of_wrong_length_is_refused(store, length):
    writer = Writer()
    first = writer.write(content(1, 300))
    share = msgspec.structs.replace(offer(first, 0), chain=(b"h" * 32,) * length)
    assert refused(store, writer, first, share)


def signed_by_a_fool(writer, shape, segments, sequence):
    """A version of segments that no program would put together, signed by the owner himself."""
    trees = [SparseTree.of_leaves([each.leaves[number] for each in segments]) for number in range(shape.total)]
    root = share_root_tree([tree.root for tree in trees]).root
    return EncodedSlot(writer.keys.sign(SlotVersion(sequence, root, shape, writer.homes)), tuple(segments))


def test_a_last_block_can_not_stay_if_it_has_another_length_now_even_if_its_owner_signs_that(store):
    writer = Writer()
    first = fill(store, writer, writer.write(content(1, 300)))
    longer = signed_by_a_fool(writer, first.version.shape.grown(310), first.segments, 2)
    assert refused(store, writer, longer, offer(longer, 0, first))
    assert carries(store, writer, first)


def test_a_salt_of_wrong_length_is_refused_even_if_its_owner_signs_it(store):
    writer = Writer()
    first = writer.write(content(1, 64))
    (segment,) = first.segments
    salt = segment.salt + b"!"
    leaves = tuple(block_leaf(salt, block) for block in segment.blocks)
    odd = signed_by_a_fool(writer, first.version.shape, [segment._replace(salt=salt, leaves=leaves)], 1)
    assert refused(store, writer, odd, offer(odd, 0))


_WRITER = Writer()
_FIRST = _WRITER.write(content(1, 400))
_SECOND = _WRITER.write(content(1, 200) + content(2, 270), _FIRST)
_ORDER = request(_WRITER, _SECOND, offer(_SECOND, 0, _FIRST), offer(_SECOND, 1, _FIRST))


@settings(max_examples=1500, deadline=None)
@given(st.integers(0, 8 * len(msgspec.msgpack.encode(_ORDER)) - 1))
def test_a_request_with_any_bit_flipped_makes_of_no_share_what_was_not_signed(bit):
    flipped = bytearray(msgspec.msgpack.encode(_ORDER))
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        order = msgspec.msgpack.decode(flipped, type=WriteSlot)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    assume(order.lease == _ORDER.lease)  # whoever has a lease that nobody can renew has himself to blame
    store = MemoryStore().slots
    fill(store, _WRITER, _FIRST, numbers=(0, 1))
    try:
        outcomes = write_slot(store, order, NOW).outcomes
    except Refused:
        outcomes = ()
    for number in (0, 1):
        taken = any(outcome.number == number and outcome.outcome == WRITTEN for outcome in outcomes)
        assert carries(store, _WRITER, _SECOND if taken else _FIRST, number)
    assert sum(outcome.outcome == WRITTEN for outcome in outcomes) < 2
    assert order != _ORDER


# --- room and leases -----------------------------------------------------------------------------------------


def test_a_version_that_there_is_no_room_for_changes_no_share():
    store = MemoryStore(StoreOptions(sizelimit=3000)).slots
    writer = Writer()
    first = fill(store, writer, writer.write(content(1, 300)), numbers=(0, 1))
    second = writer.write(content(2, 2000), first)
    with pytest.raises(NoSpace):
        write_slot(store, request(writer, second, offer(second, 0, first), offer(second, 1, first)), NOW)
    assert carries(store, writer, first, 0)
    assert carries(store, writer, first, 1)


def test_what_is_written_or_present_gets_the_lease_and_a_conflict_none(store):
    writer = Writer()
    first = fill(store, writer, writer.write(b"one"))
    second = writer.write(b"two", first)
    written(store, writer, second, offer(second, 0, first), leased=lease(1))
    assert len(store.leases(writer.index, 0)) == 2
    written(store, writer, second, offer(second, 0, first), leased=lease(2))
    assert len(store.leases(writer.index, 0)) == 3
    written(store, writer, first, offer(first, 0, first), leased=lease(3))
    assert len(store.leases(writer.index, 0)) == 3


def test_secrets_that_can_be_none_are_refused_before_anything_is_done(store):
    writer = Writer()
    first = writer.write(b"one")
    bad = msgspec.structs.replace(lease(), renew_secret=b"short")
    with pytest.raises(Refused, match="secret"):
        write_slot(store, request(writer, first, offer(first, 0), leased=bad), NOW)
    assert store.numbers(writer.index) == ()


# --- damage --------------------------------------------------------------------------------------------------


def damage(disk, writer, offset, number=0):
    """Flip a bit of a share's file, behind the store's back."""
    file = disk.edit(path_of(writer.index, number))
    file.write(offset, bytes([file.read(offset, 1)[0] ^ 1]))


def container_of(disk, writer, number=0) -> SlotContainer:
    return SlotContainer.parse(disk.open(path_of(writer.index, number)).read)


def reopened(disk):
    return DiskStore(disk).open().slots


def test_a_share_whose_leaves_are_damaged_asks_for_all_segments_and_takes_them(disk, disk_store):
    writer = Writer()
    first = fill(disk_store, writer, writer.write(content(1, 640)))
    disk_store.shut()
    damage(disk, writer, container_of(disk, writer).span(7)[0])
    store = reopened(disk)
    second = writer.write(content(2, 64) + content(1, 640)[64:], first)
    (outcome,) = write_slot(store, request(writer, second, offer(second, 0, first)), NOW).outcomes
    assert (outcome.outcome, outcome.signed.version) == (DAMAGED, first.proof.version)
    assert written(store, writer, second, offer(second, 0, first, whole=True)) == [WRITTEN]
    assert carries(store, writer, second)


@pytest.mark.parametrize("where", ["leaf", "salt", "block", "chain"])
def test_a_version_is_taken_in_place_of_itself_if_our_own_check_finds_ours_unsound(disk, disk_store, where):
    writer = Writer()
    first = fill(disk_store, writer, writer.write(content(1, 640)))
    assert written(disk_store, writer, first, offer(first, 0, first, whole=True)) == [PRESENT]
    container = container_of(disk, writer)
    places = {part: container.span(3)[0] + offset for part, offset in (("leaf", 0), ("salt", 32), ("block", 60))}
    damage(disk, writer, places.get(where, container.data_offset - 72 * container.capacity - 1))
    assert not disk_store.scrub(writer.index, 0).sound
    assert written(disk_store, writer, first, offer(first, 0)) == [PRESENT], "whoever mends says what he replaces"
    assert written(disk_store, writer, first, offer(first, 0, first, whole=True)) == [WRITTEN]
    assert carries(disk_store, writer, first)
    assert carries(reopened(disk), writer, first)


def test_what_is_offered_in_place_of_an_unsound_share_must_be_sound_itself(disk, disk_store):
    writer = Writer()
    first = fill(disk_store, writer, writer.write(content(1, 640)))
    damage(disk, writer, container_of(disk, writer).span(3)[0] + 60)
    share = offer(first, 0, first, whole=True)
    blocks = (*share.blocks[:-1], msgspec.structs.replace(share.blocks[-1], data=b"x" * len(share.blocks[-1].data)))
    assert refused(disk_store, writer, first, msgspec.structs.replace(share, blocks=blocks))


@pytest.mark.parametrize("offset", [0, 20, 30, 60, 200, 260, 270])
def test_a_share_whose_head_is_damaged_is_as_good_as_not_there(disk, disk_store, offset):
    writer = Writer()
    first = fill(disk_store, writer, writer.write(content(1, 640)), numbers=(0, 1))
    disk_store.shut()
    damage(disk, writer, offset)
    store = reopened(disk)
    assert [share.number for share in read(store, writer)] == [1]
    assert not store.scrub(writer.index, 0).sound
    assert written(store, writer, first, offer(first, 0, first, whole=True)) == [CONFLICT]
    assert written(store, writer, first, offer(first, 0)) == [WRITTEN]
    assert carries(store, writer, first)


def test_a_share_whose_tree_is_damaged_tells_its_version_and_no_blocks(disk, disk_store):
    writer = Writer()
    first = fill(disk_store, writer, writer.write(content(1, 640)))
    disk_store.shut()
    damage(disk, writer, container_of(disk, writer).span(7)[0])
    (share,) = read(reopened(disk), writer)
    assert (share.signed.version, share.root, share.blocks) == (first.proof.version, b"", ())


# --- reading -------------------------------------------------------------------------------------------------


def proven_blocks(writer, share) -> dict[int, tuple[bytes, bytes]]:
    """Salt and data of every block that is proven to be the signed version's."""
    signed = share.signed
    proof = SlotProof(signed.version, signed.signature, signed.public_key, signed.read_key_hash)
    version = proof.check(writer.index)
    chain = dict(zip(path_places(version.shape.total, share.number), share.chain, strict=True))
    assert climb(share.number, share.root, version.shape.total, chain) == version.root_hash
    count = version.shape.segment_count
    found = {}
    for block in share.blocks:
        path = dict(zip(path_places(count, block.segment), block.path, strict=True))
        assert climb(block.segment, block_leaf(block.salt, block.data), count, path) == share.root
        found[block.segment] = block.salt, block.data
    return found


@given(size=st.integers(0, 700), offset=st.integers(0, 800), length=st.integers(0, 800))
def test_a_reader_gets_the_blocks_that_cover_a_part_with_their_proofs(size, offset, length):
    store, writer = MemoryStore().slots, Writer()
    data = content(1, size)
    encoded = fill(store, writer, writer.write(data), numbers=(0, 2))
    shares = {share.number: proven_blocks(writer, share) for share in read(store, writer, offset, length)}
    shape = encoded.version.shape
    found = b""
    for segment in shape.segments(offset, length):
        salt = shares[0][segment][0]
        blocks = {number: shares[number][segment][1] for number in (0, 2)}
        found += decode_slot_segment(writer.keys.reader, shape, segment, salt, blocks)
    start = offset - offset % shape.segment_size
    assert found[offset - start :][:length] == data[offset : offset + length]
    assert list(shares[0]) == list(shares[2]) == list(shape.segments(offset, length))


def test_nothing_but_the_version_is_sent_where_no_bytes_are_asked_for_or_the_version_is_known(store):
    writer = Writer()
    first = fill(store, writer, writer.write(content(1, 300)), numbers=(0, 1))
    second = fill(store, writer, writer.write(content(2, 300), first), first)
    shares = read(store, writer, length=0)
    assert [(share.signed.version, share.blocks) for share in shares] == [
        (second.proof.version, ()),
        (first.proof.version, ()),
    ]
    shares = read(store, writer, known=name(second))
    assert [len(share.blocks) for share in shares] == [0, 5]


def test_a_question_about_many_slots_tells_which_versions_their_shares_carry(store):
    one, other = Writer(1), Writer(2)
    first = fill(store, one, one.write(b"one"), numbers=(0, 1))
    second = fill(store, one, one.write(b"two", first), first, numbers=(1,))
    fill(store, other, other.write(b"three"), numbers=(2,))
    found = {held.storage_index: held.shares for held in slots_held(store, (one.index, content(1, 16), other.index))}
    assert list(found) == [one.index, other.index]
    assert [(each.number, each.sequence) for each in found[one.index]] == [(0, 1), (1, 2)]
    assert found[one.index][1].root_hash == second.version.root_hash


def test_a_slot_that_is_not_there_has_no_shares(store):
    assert read(store, Writer()) == ()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 9])
def test_the_edge_proves_the_last_leaf_and_lets_an_appender_compute_the_next_root(store, count):
    writer = Writer()
    encoded = fill(store, writer, writer.write(content(1, 64 * count)))
    (share,) = read(store, writer, length=0, edge=True)
    if not count:
        assert share.edge == ()
        return
    leaf, *path = share.edge
    places = path_places(count, count - 1)
    assert climb(count - 1, leaf, count, dict(zip(places, path, strict=True))) == encoded.block_trees[0].root
    (share,) = read(store, writer, length=0)
    assert share.edge == ()


def test_room_is_divided_among_the_shares_and_never_exceeded(store):
    writer = Writer(1, SlotShape(2, 3, 2048, 0))
    fill(store, writer, writer.write(content(1, 20 * 2048)), numbers=(0, 1, 2))
    for room in (0, 1023, 1024, 1025, 3000, 10_000, 50_000, 10**6):
        shares = read(store, writer, room=room)
        sizes = [sum(len(block.data) for block in share.blocks) for share in shares]
        assert sum(sizes) <= room
        assert sum(sizes) > room - 3 * 1024 or sum(sizes) == 60 * 1024
        assert max(sizes) - min(sizes) <= 1024
        for share in shares:
            assert list(proven_blocks(writer, share)) == list(range(len(share.blocks)))


def test_an_answer_is_no_larger_than_it_was_announced_to_be_however_small_the_blocks(store):
    writer = Writer(1, SlotShape(2, 3, 8, 0))
    fill(store, writer, writer.write(content(1, 8 * 3000)), numbers=(0, 1, 2))
    order = ReadSlot(writer.index, 0, AMPLE, 50_000, edge=True)
    answer = read_slot(store, order)
    assert 30_000 < len(msgspec.msgpack.encode(answer)) <= order.answer_room()


@pytest.mark.parametrize("message", [SMALLEST_MESSAGE_BYTES, 100_000])
def test_an_answer_fits_the_packet_for_which_the_asker_has_left_room(store, message):
    writer = Writer(1, SlotShape(2, 3, 8, 0))
    fill(store, writer, writer.write(content(1, 8 * 3000)), numbers=(0, 1, 2))
    answer = read_slot(store, ReadSlot(writer.index, 0, AMPLE, SlotTerms(message=message).payload, edge=True))
    assert all(share.blocks for share in answer.shares)
    assert len(msgspec.msgpack.encode(answer)) <= message - 512  # for the envelope


def test_a_range_that_can_be_none_is_refused(store):
    writer = Writer()
    for offset, length, room in ((-1, 1, 1), (1, -1, 1), (1, 1, -1)):
        with pytest.raises(Refused, match="negative"):
            read(store, writer, offset, length, room)
    with pytest.raises(Refused, match="16 bytes"):
        read_slot(store, ReadSlot(b"short", 0, 1, 1))


# --- the server ----------------------------------------------------------------------------------------------


IDLE = Upkeep(0, 0, 0)


class Grid:
    """One server, asked by messages."""

    def __init__(self, upkeep: Upkeep = IDLE) -> None:
        self.rig = Rig(servers=1)
        (machine,) = self.rig.servers
        (self.store,) = self.rig.stores
        self.server = machine.actor = StorageServer(machine.context, self.store, self.store.slots, upkeep)
        self.start = machine.actor.start
        self.to = Address(machine.name, machine.actor.role)

    def ask(self, message):
        return self.rig.run(self.rig.ctx.ask(self.to, message, timeout=5.0))

    def rot(self, writer, segment=0):
        """A bit of the slot's share 0 flips."""
        records = self.store.slots._slots[writer.index][0].records
        records[segment] = records[segment]._replace(block=bytes(len(records[segment].block)))


def test_slots_are_written_and_read_by_messages():
    grid, writer = Grid(), Writer()
    first = writer.write(content(1, 100))
    answer = grid.ask(request(writer, first, offer(first, 0)))
    assert [outcome.outcome for outcome in answer.outcomes] == [WRITTEN]
    (share,) = grid.ask(ReadSlot(writer.index, 0, 100, AMPLE)).shares
    assert list(proven_blocks(writer, share)) == [0, 1]


def test_leases_are_added_to_and_cancelled_on_files_and_slots_alike():
    grid, writer = Grid(), Writer()
    first = writer.write(content(1, 100))
    grid.ask(request(writer, first, offer(first, 0)))
    wanted = LeaseWanted(writer.index, lease(5))
    assert grid.ask(AddLeases((wanted, LeaseWanted(b"n" * 16, lease(5))))).storage_indexes == (writer.index,)
    owners = [each.owner for each in grid.store.slots.leases(writer.index, 0)]
    assert len(owners) == 2
    assert {grid.store.books().accounts.name_of(owner) for owner in owners} == {"client"}
    assert grid.ask(CancelLeases((wanted,))).count == 1
    assert grid.ask(CancelLeases((LeaseWanted(writer.index, lease()),))).count == 1
    assert grid.store.slots.leases(writer.index, 0) == ()


def test_advice_about_a_slot_is_kept_where_our_own_check_agrees():
    grid, writer = Grid(), Writer()
    first = writer.write(content(1, 100))
    grid.ask(request(writer, first, offer(first, 0)))
    assert not grid.ask(AdviseCorrupt(writer.index, 0, "a lie")).found_corrupt
    grid.rot(writer)
    assert grid.ask(AdviseCorrupt(writer.index, 0, "block 0")).found_corrupt
    (advisory,) = grid.store.slots.advisories
    assert "block 0" in advisory.reason
    assert (writer.index, 0) in grid.server.corrupt


def test_junk_among_the_files_at_a_slots_index_hides_nothing():
    grid, writer = Grid(), Writer()
    first = writer.write(content(1, 100))
    grid.ask(request(writer, first, offer(first, 0)))
    grid.ask(StoreShares(writer.index, b"u" * 32, lease(), (ShareToStore(0, b"junk"),)))
    grid.rot(writer)
    grid.ask(AdviseCorrupt(writer.index, 0, "block 0"))
    assert len(grid.store.slots.advisories) == 1


def test_a_new_share_of_a_slot_is_scrubbed_soon():
    grid, writer = Grid(Upkeep(0, 0, 1.0)), Writer()
    grid.rig.run(grid.start())
    first = writer.write(content(1, 100))
    grid.ask(request(writer, first, offer(first, 0)))
    grid.rot(writer)
    grid.rig.wait(1.5)
    assert (writer.index, 0) in grid.server.corrupt


def test_shares_of_slots_are_scrubbed_again_and_again():
    grid, writer = Grid(Upkeep(0, 0, 1.0)), Writer()
    grid.rig.run(grid.start())
    first = writer.write(content(1, 100))
    grid.ask(request(writer, first, offer(first, 0)))
    grid.rig.wait(10)
    assert not grid.server.corrupt
    grid.rot(writer)
    grid.rig.wait(10)
    assert (writer.index, 0) in grid.server.corrupt
