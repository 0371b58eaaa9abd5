"""Uploads: a file becomes shares on enough servers, or nothing does."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.actors.coding import encode_small_convergent
from tahoe.actors.upload import BytesSource, Limits, Patience, SourceChanged, upload
from tahoe.codec.capability import ImmutableRead, Literal
from tahoe.codec.keys import storage_index_of_key
from tahoe.codec.parameters import EncodingParameters
from tahoe.errors import NotEnoughServers, Refused
from tahoe.protocol import (
    Abort,
    AddLeases,
    Allocate,
    Allocated,
    Close,
    Closed,
    Encoding,
    HaveShares,
    Held,
    Lease,
    ShareFacts,
    Stored,
    StoreShares,
    Write,
)
from tahoe.storage.memory import MemoryStore
from tahoe.storage.store import StoreOptions
from tests.actors.rig import STANDARD, Rig, content, terms

SECRET = b"convergence"
LEASE = Lease(b"r" * 32, b"c" * 32)
BOTH_WAYS = pytest.mark.parametrize("small", [True, False], ids=["small", "large"])


def expected_shares(data, encoding=STANDARD, segment=2**20):
    """What the codec makes of a file under the convergence secret."""
    parameters = EncodingParameters.of(len(data), encoding.needed, encoding.total, segment)
    return encode_small_convergent(parameters, SECRET, data)


def stored_shares(rig, capability):
    """Every complete share of a file that any store has."""
    index = capability.storage_index
    return {
        number: rig.store(node).read(index, number, 0, 2**30)
        for number, nodes in rig.holdings(index).items()
        for node in nodes
    }


@pytest.mark.parametrize("size", [0, 1, 55])
def test_a_tiny_file_is_its_own_capability_and_no_server_hears_of_it(size):
    rig = Rig()
    result = rig.put(content(size))
    assert result.capability == Literal(content(size))
    assert not any(machine.heard for machine in rig.servers)


@BOTH_WAYS
@pytest.mark.parametrize("size", [56, 999, 1000, 1002, 1003, 5000])
def test_the_shares_are_the_codecs_to_the_byte(size, small):
    rig = Rig()
    data = content(size)
    result = rig.put(data, terms(small=small, segment=1000))
    expected = expected_shares(data, segment=1000)
    assert isinstance(result.capability, ImmutableRead)
    assert (result.capability.key, result.capability.ueb_hash) == (expected.key, expected.ueb_hash)
    assert stored_shares(rig, result.capability) == dict(enumerate(expected.shares))
    assert result.pushed == sum(map(len, expected.shares))
    assert rig.holdings(result.capability.storage_index) == {n: [node] for n, node in result.homes.items()}
    assert result.happiness == 10
    assert rig.no_upload_is_left()


@BOTH_WAYS
@pytest.mark.parametrize("encoding", [Encoding(1, 1, 1), Encoding(1, 2, 2), Encoding(7, 10, 10), Encoding(5, 3, 40)])
def test_other_encodings_work_as_well(encoding, small):
    rig = Rig()
    data = content(3000)
    result = rig.put(data, terms(encoding, small=small, segment=1000))
    assert stored_shares(rig, result.capability) == dict(enumerate(expected_shares(data, encoding, 1000).shares))
    assert result.happiness == min(10, encoding.total)


def test_a_small_file_takes_one_round_after_the_questions():
    rig = Rig()
    rig.put(content(10_000))
    assert all([type(message) for message in machine.heard] == [HaveShares, StoreShares] for machine in rig.servers)


class Once(BytesSource):
    async def rewind(self):
        raise AssertionError("it was to be read once")


def test_a_large_file_is_read_once_under_a_random_key():
    rig = Rig()
    data = content(50_000)
    order = terms(convergence=None, small=False, segment=10_000)
    first = rig.run(upload(rig.ctx, rig.roster, order, Once(data)))
    second = rig.run(upload(rig.ctx, rig.roster, order, Once(data)))
    assert first.capability.key != second.capability.key
    assert rig.get(first.capability) == rig.get(second.capability) == data


@BOTH_WAYS
def test_a_stored_file_is_not_sent_again_but_its_leases_are_renewed(small):
    rig = Rig()
    order = terms(small=small, segment=1000)
    first = rig.put(content(5000), order)
    for machine in rig.servers:
        machine.heard.clear()
    again = rig.put(content(5000), order)
    assert again.capability == first.capability
    assert again.homes == first.homes
    assert (again.pushed, again.existing) == (0, 10)
    assert sum(machine.count(AddLeases) for machine in rig.servers) == 10
    assert not any(machine.count(kind) for machine in rig.servers for kind in (StoreShares, Allocate, Write))


@BOTH_WAYS
def test_only_missing_shares_are_sent(small):
    rig = Rig(servers=12)
    order = terms(small=small, segment=1000)
    first = rig.put(content(5000), order)
    index = first.capability.storage_index
    for number in (2, 5):
        del rig.store(first.homes[number])._shares[index]
    again = rig.put(content(5000), order)
    assert again.existing == 8
    assert again.happiness == 10
    assert again.pushed == first.pushed // 5
    assert sorted(rig.holdings(index)) == list(range(10))


@BOTH_WAYS
def test_junk_under_the_files_index_is_not_counted_as_a_share(small):
    rig = Rig()
    data = content(5000)
    mine = expected_shares(data, segment=1000)
    index = storage_index_of_key(mine.key)
    junk = expected_shares(content(5000, seed=666), segment=1000)
    for store in rig.stores[:4]:
        store.store(index, {0: junk.shares[0], 1: b"not even a share"}, LEASE, 0.0)
    result = rig.put(data, terms(small=small, segment=1000))
    assert result.existing == 0
    assert result.happiness == 10
    assert all(node not in [machine.name for machine in rig.servers[:4]] for node in (result.homes[0], result.homes[1]))
    assert rig.get(result.capability) == data


@BOTH_WAYS
def test_a_server_that_claims_shares_of_a_random_file_is_not_believed(small):
    rig = Rig()

    def claim(message, answer):
        if isinstance(message, HaveShares):
            index = message.storage_indexes[0]
            facts = tuple(ShareFacts(number, 1000, b"x" * 32) for number in range(10))
            return type(answer)((Held(index, facts),), answer.space)
        return answer

    rig.servers[0].bend = claim
    data = content(5000)
    order = terms(convergence=None, small=small, segment=1000)
    result = rig.run(upload(rig.ctx, rig.roster, order, Once(data)))
    assert result.existing == 0
    assert rig.servers[0].name not in result.homes.values()
    assert rig.get(result.capability) == data


# --- servers that fail ------------------------------------------------------------------------------------


@BOTH_WAYS
def test_servers_said_to_be_gone_are_not_asked(small):
    rig = Rig(servers=12)
    rig.gone = {rig.servers[3].name: None, rig.servers[4].name: None}
    result = rig.put(content(5000), terms(small=small))
    assert result.happiness == 10
    assert not rig.servers[3].heard
    assert result.timings.asking < 0.1


@BOTH_WAYS
def test_a_server_that_hears_nothing_is_left_out_after_a_short_wait(small):
    rig = Rig(servers=12)
    rig.servers[3].down = True
    result = rig.put(content(5000), terms(small=small))
    assert result.happiness == 10
    assert rig.servers[3].name not in result.homes.values()
    assert result.timings.asking < 2.0


@BOTH_WAYS
def test_a_full_server_is_passed_over(small):
    rig = Rig(servers=12)
    for machine in rig.servers[:3]:
        rig.give_store(machine, MemoryStore(StoreOptions(readonly=True)))
    result = rig.put(content(5000), terms(small=small))
    assert result.happiness >= 9
    assert sorted(result.homes) == list(range(10))


@BOTH_WAYS
def test_a_server_that_refuses_the_offer_is_replaced(small):
    rig = Rig(servers=12)
    victim = rig.put(content(5000), terms(small=small)).homes[4]
    rig = Rig(servers=12)
    rig.machine(victim).bend = _refuse(StoreShares, Allocate)
    result = rig.put(content(5000), terms(small=small))
    assert result.happiness == 10
    assert victim not in result.homes.values()
    assert rig.get(result.capability) == content(5000)


def _refuse(*kinds):
    return lambda message, answer: Refused("no-space", "full") if isinstance(message, kinds) else answer


@pytest.mark.parametrize("phase", [HaveShares, StoreShares])
def test_a_server_that_dies_in_any_phase_of_a_small_upload_is_replaced_or_done_without(phase):
    rig = Rig(servers=12)
    dies = _die_at(rig, rig.servers[5], phase)
    result = rig.put(content(5000))
    assert dies.down
    assert result.happiness >= 7
    assert rig.get(result.capability) == content(5000)


@pytest.mark.parametrize("phase", [HaveShares, Allocate, Write, Close])
def test_a_server_that_dies_in_any_phase_of_a_large_upload_is_replaced_or_done_without(phase):
    rig = Rig(servers=10)
    dies = _die_at(rig, rig.servers[5], phase)
    result = rig.put(content(50_000), terms(small=False, segment=1000))
    assert dies.down
    assert result.happiness >= 9
    assert dies.name not in result.homes.values()
    assert rig.get(result.capability) == content(50_000)


def _die_at(rig, machine, kind):
    """Let a server die when it hears the second message of a kind (or the first, where only one comes)."""

    def bend(message, answer):
        if isinstance(message, kind) and machine.count(kind) >= (2 if kind is Write else 1):
            machine.down = True
        return answer

    machine.bend = bend
    return machine


def test_a_slow_line_is_not_mistaken_for_silence():
    rig = Rig()
    for machine in rig.servers:
        machine.delay = 60.0
    order = terms(small=False, segment=1000)
    patient = Patience(question=300.0, straggler=200.0, offer=300.0, silence=20.0)
    order = replace(order, patience=patient)
    assert rig.put(content(5000), order).happiness == 10


def test_a_source_that_makes_the_story_wait_costs_no_server_its_place():
    rig = Rig()

    class Slow(BytesSource):
        async def read(self, length):
            await rig.ctx.sleep(40.0 if self._offset == 20_000 else 0.0)
            return await super().read(length)

    order = terms(convergence=None, small=False, segment=5000)
    limits = Limits(segment=5000, small=0, window=100_000)
    order = replace(order, limits=limits)
    result = rig.run(upload(rig.ctx, rig.roster, order, Slow(content(50_000))))
    assert result.happiness == 10


def test_a_server_that_falls_silent_in_the_middle_does_not_hold_the_others_up_for_long():
    rig = Rig()
    silent = rig.servers[2]
    silent.bend = lambda message, answer: None if isinstance(message, Write) and silent.count(Write) > 3 else answer
    before = rig.world.now()
    order = terms(small=False, segment=1000)
    limits = Limits(segment=1000, small=0, window=50_000)
    result = rig.put(content(500_000), replace(order, limits=limits))
    assert result.happiness == 9
    assert rig.world.now() - before < 3 * order.patience.silence + 5.0


def test_an_upload_fails_in_time_when_nobody_answers_any_more():
    rig = Rig()
    for machine in rig.servers:
        _die_at(rig, machine, Write)
    before = rig.world.now()
    with pytest.raises(NotEnoughServers):
        rig.put(content(500_000), terms(small=False, segment=1000))
    assert rig.world.now() - before < 120.0


def test_nothing_goes_on_behind_an_upload_that_failed():
    rig = Rig()
    for machine in rig.servers[:5]:
        machine.bend = _refuse(Write)
    with pytest.raises(NotEnoughServers):
        rig.put(content(500_000), terms(small=False, segment=1000))
    rig.wait(0.0)
    assert not rig.client.life.stories


# --- unhappiness ------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_too_few_servers_is_an_error_that_tells_what_was_found_and_nothing_is_sent(small):
    rig = Rig(servers=6)
    rig.servers[2].down = True
    with pytest.raises(NotEnoughServers) as caught:
        rig.put(content(5000), terms(small=small))
    assert (caught.value.spread, caught.value.happy) == (5, 7)
    text = str(caught.value)
    assert "asked 6 servers: 5 answered" in text
    assert "s2: " in text
    assert "best placement: 0 on " in text
    assert not any(machine.count(kind) for machine in rig.servers for kind in (StoreShares, Allocate))


def test_an_upload_that_fails_late_still_tells_who_was_left_out_early():
    rig = Rig(servers=8)
    rig.servers[0].down = True
    for machine in rig.servers[1:3]:
        machine.bend = _refuse(StoreShares)
    with pytest.raises(NotEnoughServers) as caught:
        rig.put(content(5000))
    assert "s0: did not answer while the others did" in str(caught.value)
    assert "s1: refused (no-space): full" in str(caught.value)


def test_servers_lost_while_pushing_make_the_upload_fail_and_everything_allocated_is_aborted():
    rig = Rig(servers=10)
    for machine in rig.servers[:4]:
        _die_at(rig, machine, Write)
    with pytest.raises(NotEnoughServers) as caught:
        rig.put(content(50_000), terms(small=False, segment=1000))
    assert caught.value.spread == 6
    for machine, store in zip(rig.servers, rig.stores, strict=True):
        assert machine.down or not store._uploads
    assert all(not store.shares(index) for store in rig.stores for index in store.storage_indexes())


def test_a_server_that_closes_less_than_it_took_is_not_counted():
    rig = Rig(servers=10)
    rig.servers[1].bend = lambda message, answer: Closed(()) if isinstance(message, Close) else answer
    assert rig.put(content(50_000), terms(small=False, segment=1000)).happiness == 9


def _fill_up(machine):
    """Let a server find out that it is full only when it is given something."""

    def store(*_):
        raise Refused("no-space", "full")

    machine.actor.store.store = store


def test_small_shares_that_came_to_nothing_are_taken_back_under_a_random_key():
    rig = Rig(servers=10)
    for machine in rig.servers[:4]:
        _fill_up(machine)
    with pytest.raises(NotEnoughServers):
        rig.put(content(5000), terms(convergence=None))
    assert any(store.space().shares for store in rig.stores)
    assert not any(store.books().usage() for store in rig.stores), "what is left is nobody's"


def test_a_cancelled_upload_leaves_no_room_taken():
    rig = Rig()
    for machine in rig.servers:
        machine.delay = 0.5
    task = rig.start(upload(rig.ctx, rig.roster, terms(small=False, segment=1000), BytesSource(content(500_000))))
    rig.wait(1.7)
    assert any(store._uploads for store in rig.stores)
    task.cancel()
    rig.wait(1.0)
    assert sum(machine.count(Abort) for machine in rig.servers) == 10
    assert rig.no_upload_is_left()


# --- the source -------------------------------------------------------------------------------------------


class Lying(BytesSource):
    def __init__(self, data, size):
        super().__init__(data)
        self.size = size


@BOTH_WAYS
@pytest.mark.parametrize("convergence", [None, SECRET])
@pytest.mark.parametrize("real", [4999, 5001])
def test_a_source_of_another_length_than_it_says_is_an_error_and_nothing_is_stored(real, convergence, small):
    rig = Rig()
    order = terms(convergence=convergence, small=small, segment=1000)
    with pytest.raises(SourceChanged):
        rig.run(upload(rig.ctx, rig.roster, order, Lying(content(real), 5000)))
    assert not any(list(store.storage_indexes()) for store in rig.stores)
    assert rig.no_upload_is_left()


def test_a_source_of_unknown_length_must_be_counted_first():
    rig = Rig()
    with pytest.raises(ValueError, match="size"):
        rig.run(upload(rig.ctx, rig.roster, terms(), Lying(b"", None)))


class Changing(BytesSource):
    """Gives other bytes of the same length from the third pass on."""

    passes = 1

    async def rewind(self):
        await super().rewind()
        self.passes += 1
        if self.passes == 3:
            self._data = bytes(len(self._data))


def test_a_file_that_changes_between_two_passes_is_not_made_complete():
    rig = Rig()
    order = terms(small=False, segment=1000)
    first = rig.put(content(5000), order)
    for number in range(5):
        del rig.store(first.homes[number])._shares[first.capability.storage_index]
    with pytest.raises(SourceChanged):
        rig.run(upload(rig.ctx, rig.roster, order, Changing(content(5000))))
    assert sorted(rig.holdings(first.capability.storage_index)) == list(range(5, 10))
    assert rig.no_upload_is_left()


def test_memory_is_bounded_by_the_window():
    rig = Rig()
    for machine in rig.servers:
        machine.delay = 1.0
    under_way = [0]
    most = [0]
    ask = rig.client.ask

    def watched(to, request, timeout, done):
        if not isinstance(request, Write):
            return ask(to, request, timeout, done)
        under_way[0] += len(request.data)
        most[0] = max(most[0], under_way[0])

        def finished(outcome):
            under_way[0] -= len(request.data)
            done(outcome)

        return ask(to, request, timeout, finished)

    rig.client.ask = watched
    order = terms(small=False, segment=10_000)
    window = 100_000
    limits = Limits(segment=10_000, small=0, window=window)
    order = replace(order, limits=limits)
    rig.put(content(1_000_000), order)
    assert window // 2 < most[0] <= window


def test_blocks_longer_than_a_message_are_split():
    rig = Rig()
    order = terms(Encoding(1, 2, 2), small=False)
    limits = Limits(segment=100_000, small=0, message=20_000)
    order = replace(order, limits=limits)
    data = content(250_000)
    result = rig.put(data, order)
    writes = [message for machine in rig.servers for message in machine.heard if isinstance(message, Write)]
    assert max(len(message.data) for message in writes) <= 20_000
    assert stored_shares(rig, result.capability) == dict(
        enumerate(expected_shares(data, order.encoding, 100_000).shares)
    )


def test_several_shares_for_one_server_go_in_as_many_messages_as_they_need():
    rig = Rig(servers=2)
    order = terms(Encoding(1, 1, 10))
    limits = Limits(message=40_000)
    order = replace(order, limits=limits)
    result = rig.put(content(15_000), order)
    assert sorted(result.homes) == list(range(10))
    stores = [message for machine in rig.servers for message in machine.heard if isinstance(message, StoreShares)]
    assert len(stores) == 6
    assert max(sum(len(share.data) for share in message.shares) for message in stores) <= 40_000


# --- two at once ------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_two_uploaders_of_the_same_file_at_once_both_succeed_and_every_share_is_good(small):
    rig = Rig()
    data = content(5000)
    order = terms(small=small, segment=1000)
    promises = [
        rig.world.observe(upload(rig.ctx, rig.roster, order, BytesSource(data)), rig.client.life) for _ in range(2)
    ]
    results = [rig.world.run(promise) for promise in promises]
    assert results[0].capability == results[1].capability
    assert all(result.happiness == 10 for result in results)
    assert stored_shares(rig, results[0].capability) == dict(enumerate(expected_shares(data, segment=1000).shares))
    assert rig.no_upload_is_left()


def test_a_share_completed_by_another_between_question_and_offer_is_found_to_be_the_same_file():
    rig = Rig()
    data = content(5000)
    expected = expected_shares(data, segment=1000)
    index = storage_index_of_key(expected.key)

    def meanwhile(message, answer):
        if isinstance(message, HaveShares):
            for number, node in enumerate(first.homes.values()):
                rig.store(node).store(index, {number: expected.shares[number]}, LEASE, 0.0)
        return answer

    first = Rig().put(data, terms(small=False, segment=1000))
    rig.servers[0].bend = meanwhile
    result = rig.put(data, terms(small=False, segment=1000))
    assert result.happiness == 10
    assert stored_shares(rig, result.capability) == dict(enumerate(expected.shares))


def test_junk_slipped_in_between_allocation_and_close_does_not_count():
    rig = Rig()
    victim = rig.servers[4]
    junk = expected_shares(content(5000, seed=666)).shares[0]
    close = victim.actor.store.close

    def slip_in(storage_index, upload_secret, numbers):
        victim.actor.store.store(storage_index, dict.fromkeys(numbers, junk), LEASE, 0.0)
        return close(storage_index, upload_secret, numbers)

    victim.actor.store.close = slip_in
    result = rig.put(content(50_000), terms(small=False, segment=1000))
    assert result.happiness == 9
    assert victim.name not in result.homes.values()


# --- laws -------------------------------------------------------------------------------------------------

MOODS = ["well", "well", "well", "down", "read-only", "refuses", "dies at write", "takes nothing"]


def _moody(rig, machine, mood):
    if mood == "down":
        machine.down = True
    elif mood == "read-only":
        rig.give_store(machine, MemoryStore(StoreOptions(readonly=True)))
    elif mood == "refuses":
        machine.bend = _refuse(StoreShares, Allocate)
    elif mood == "dies at write":
        _die_at(rig, machine, Write)
    elif mood == "takes nothing":
        machine.bend = _take_nothing


def _take_nothing(message, answer):
    if isinstance(message, StoreShares):
        return Stored((), ())
    return Allocated((), ()) if isinstance(message, Allocate) else answer


@settings(max_examples=40, deadline=None)
@given(
    moods=st.lists(st.sampled_from(MOODS), min_size=1, max_size=9),
    happy=st.integers(1, 6),
    small=st.booleans(),
    seed=st.integers(0, 3),
)
def test_an_upload_is_happy_or_says_so(moods, happy, small, seed):
    rig = Rig(servers=len(moods), seed=seed)
    for machine, mood in zip(rig.servers, moods, strict=True):
        _moody(rig, machine, mood)
    data = content(4000, seed)
    result = None
    try:
        result = rig.put(data, terms(Encoding(2, happy, 6), small=small, segment=500))
    except NotEnoughServers as error:
        reached = error.spread
    else:
        reached = result.happiness
        _check_homes(rig, result, data, happy)
    assert (reached >= happy) == (result is not None)


def _check_homes(rig, result, data, happy):
    living = [machine.name for machine in rig.servers if not machine.down]
    holdings = rig.holdings(result.capability.storage_index)
    assert all(node in holdings[number] and node in living for number, node in result.homes.items())
    assert len(set(result.homes.values())) >= happy
    if len(result.homes) >= 2:
        assert rig.get(result.capability) == data
