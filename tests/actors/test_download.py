"""Downloads: whatever servers do, bytes come proven and in order, or an error says why not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from tahoe.actors.download import Download, Habits, ReadingRoom, Span
from tahoe.actors.upload import BytesSource, upload
from tahoe.codec.capability import ImmutableRead, Literal
from tahoe.errors import BadCapability, CorruptFile, NotEnoughShares, Refused
from tahoe.policy.budget import Budget
from tahoe.protocol import AdviseCorrupt, Encoding, ReadShare, ReadShares, ShareBytes, ShareFacts, SharesRead
from tests.actors.rig import DELAY, STANDARD, Rig, content, read_all, terms

SIZE = 50_000
SEGMENT = 9_999
ROOM_FOR_ONE = Habits(message=20_000)
"""Messages that carry one block of such a segment, so that a file takes several stretches."""


def stocked(servers=10, encoding=STANDARD, size=SIZE, segment=SEGMENT, convergence=None):
    """A grid with one file in it."""
    rig = Rig(servers=servers)
    result = rig.put(content(size), terms(encoding, convergence, segment=segment))
    for machine in rig.servers:
        machine.heard.clear()
    return rig, result


def room(habits=ROOM_FOR_ONE, budget=2**26):
    return ReadingRoom(Budget(budget), habits=habits)


def corrupt(rig, result, number, offset):
    """Flip a bit of a share where it lies."""
    share = rig.store(result.homes[number])._shares[result.capability.storage_index][number]
    share.content = share.content[:offset] + bytes([share.content[offset] ^ 1]) + share.content[offset + 1 :]


def advice(rig):
    return [(m.name, message.number) for m in rig.servers for message in m.heard if isinstance(message, AdviseCorrupt)]


def asked(rig):
    return [machine for machine in rig.servers if machine.heard]


# --- what comes back --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 55])
def test_a_literal_needs_no_server(size):
    rig = Rig(servers=0)
    assert rig.get(Literal(content(size))) == content(size)
    assert rig.get(Literal(content(size)), Span(10, 20)) == content(size)[10:30]


@pytest.mark.parametrize("encoding", [Encoding(1, 1, 1), Encoding(1, 2, 3), Encoding(3, 7, 10), Encoding(7, 7, 30)])
@pytest.mark.parametrize("size", [56, 999, 1000, 1001, 1005, 1006, 20_000])
def test_every_file_comes_back(size, encoding):
    rig, result = stocked(encoding=encoding, size=size, segment=1000)
    assert rig.get(result.capability) == content(size)
    assert rig.get(result.capability, room=room(Habits(message=17_500))) == content(size)


@settings(max_examples=60, deadline=None)
@given(offset=st.integers(0, 5100), length=st.none() | st.integers(0, 5100), segment=st.sampled_from([300, 1000, 5000]))
def test_any_part_of_a_file_comes_back(offset, length, segment):
    rig, result = stocked(size=5000, segment=segment)
    end = None if length is None else offset + length
    assert rig.get(result.capability, Span(offset, length), room(Habits(message=17_500))) == content(5000)[offset:end]


def test_a_part_fetches_only_the_segments_it_touches():
    rig, result = stocked()
    rig.get(result.capability, Span(2 * SEGMENT + 5, 100), room())
    given_blocks = SEGMENT // 3
    requests = [message for machine in rig.servers for message in machine.heard]
    assert len(requests) == 3
    assert all(request.length <= given_blocks * 3 for request in requests)


def test_a_small_file_takes_one_round_trip_with_k_servers():
    rig, result = stocked(size=1000)
    before = rig.world.now()
    assert rig.get(result.capability) == content(1000)
    assert rig.world.now() - before < 2.1 * DELAY
    assert [machine.count(ReadShares) for machine in asked(rig)] == [1, 1, 1]


def test_primary_shares_are_fetched_where_they_are():
    rig, result = stocked()
    rig.get(result.capability, room=room())
    assert [machine.name for machine in asked(rig)] == sorted(result.homes[number] for number in range(3))


def test_segments_are_under_way_together():
    rig, result = stocked(size=500_000)
    before = rig.world.now()
    rig.get(result.capability, room=room())
    assert rig.world.now() - before < 51 * 2 * DELAY / 4


def test_blocks_longer_than_a_message_come_in_pieces():
    rig, result = stocked(encoding=Encoding(1, 2, 2), size=300_000, segment=100_000)
    assert rig.get(result.capability, room=room()) == content(300_000)
    answers = [message for machine in rig.servers for message in machine.heard]
    assert sum(isinstance(message, ReadShare) for message in answers) >= 3 * 24
    assert max(message.length for message in answers if isinstance(message, ReadShare)) <= 20_000


def test_one_server_with_all_shares_gives_a_file_back():
    rig, result = stocked(servers=1, encoding=Encoding(3, 1, 10))
    assert rig.get(result.capability, room=room()) == content(SIZE)


def test_a_small_file_on_one_server_takes_one_round_trip():
    rig, result = stocked(servers=1, encoding=Encoding(3, 1, 10), size=1000)
    assert rig.get(result.capability) == content(1000)
    assert rig.servers[0].count(ReadShares) == 1


# --- servers that fail ------------------------------------------------------------------------------------


def test_any_k_living_servers_suffice():
    rig, result = stocked()
    for number in range(7):
        rig.machine(result.homes[number]).down = True
    assert rig.get(result.capability, room=room()) == content(SIZE)


def test_too_few_shares_is_an_error_with_reasons_for_each_server():
    rig, result = stocked()
    for number in range(8):
        rig.machine(result.homes[number]).down = True
    with pytest.raises(NotEnoughShares) as caught:
        rig.get(result.capability, room=room(Habits(patience=3.0)))
    assert (caught.value.found, caught.value.needed) == (2, 3)
    assert sum("did not answer" in reason for reason in caught.value.reasons) == 8


def test_no_servers_at_all_is_an_error():
    rig, result = stocked()
    rig.roster = []
    with pytest.raises(NotEnoughShares):
        rig.get(result.capability)


def test_servers_without_the_file_say_so():
    rig, result = stocked(servers=10)
    for store in rig.stores:
        store._shares.clear()
    with pytest.raises(NotEnoughShares) as caught:
        rig.get(result.capability)
    assert caught.value.found == 0
    assert all("has no share of this file" in reason for reason in caught.value.reasons)
    assert len(caught.value.reasons) == 10


def test_a_server_that_dies_in_the_middle_is_replaced():
    rig, result = stocked(size=500_000)
    victim = rig.machine(result.homes[1])

    def die(message, answer):
        victim.down = victim.count(ReadShares) >= 10
        return answer

    victim.bend = die
    assert rig.get(result.capability, room=room()) == content(500_000)
    assert victim.down


def test_a_server_that_refuses_is_replaced():
    rig, result = stocked()
    rig.machine(result.homes[0]).bend = lambda *_: Refused("busy", "later")
    before = rig.world.now()
    assert rig.get(result.capability, room=room()) == content(SIZE)
    assert rig.world.now() - before < 1.0


def test_a_slow_server_is_hedged_and_its_answer_cancelled():
    rig, result = stocked()
    slow = rig.machine(result.homes[0])
    slow.delay = 20.0
    cancelled = []
    ask = rig.client.ask

    def watched(to, request, timeout, done):
        asking = ask(to, request, timeout, done)
        if to.node == slow.name:
            cancelled.append(asking)
        return asking

    rig.client.ask = watched
    before = rig.world.now()
    assert rig.get(result.capability, room=room()) == content(SIZE)
    assert rig.world.now() - before < 1.0
    assert cancelled
    assert all(asking.cancelled for asking in cancelled)


def test_a_server_known_to_be_slow_is_not_asked_by_the_next_download():
    rig, result = stocked()
    slow = rig.machine(result.homes[0])
    slow.delay = 20.0
    shared = room()
    rig.get(result.capability, room=shared)
    heard = len(slow.heard)
    before = rig.world.now()
    assert rig.get(result.capability, room=shared) == content(SIZE)
    assert len(slow.heard) == heard
    assert rig.world.now() - before < 0.4


def test_servers_said_to_be_gone_are_asked_last():
    rig, result = stocked()
    rig.gone = {result.homes[number]: None for number in range(7)}
    assert rig.get(result.capability, room=room()) == content(SIZE)
    assert all(machine.name not in rig.gone for machine in asked(rig))
    rig.gone = dict.fromkeys(result.homes.values())
    assert rig.get(result.capability, room=room()) == content(SIZE)


def most_under_way(rig):
    """Watch the client; returns a list whose last entry is the most questions ever under way to one server."""
    under_way, most = {}, [0]
    ask = rig.client.ask

    def watched(to, request, timeout, done):
        under_way[to.node] = under_way.get(to.node, 0) + 1
        most.append(max(most[-1], under_way[to.node]))

        def finished(outcome):
            under_way[to.node] -= 1
            done(outcome)

        return ask(to, request, timeout, finished)

    rig.client.ask = watched
    return most


def test_questions_do_not_queue_up_where_servers_are_slow():
    rig, result = stocked(servers=3, encoding=Encoding(3, 3, 3), size=1_000_000)
    for machine in rig.servers:
        machine.service = 0.3
    most = most_under_way(rig)
    assert rig.get(result.capability, room=room()) == content(1_000_000)
    assert most[-1] <= 8


def test_less_is_under_way_when_servers_become_slow_in_the_middle():
    rig, result = stocked(servers=3, encoding=Encoding(3, 3, 3), size=6_000_000)
    late = []

    def slow_down(message, answer):
        blocks = sum(machine.count(ReadShares) for machine in rig.servers)
        rig.servers[0].service = 0.1 if blocks > 3 * 150 else 0.0
        if blocks > 3 * 400:
            late.append(blocks - answered[0])
        return answer

    answered = [0]
    rig.servers[0].bend = slow_down
    answer = rig.client.ask

    def counting(to, request, timeout, done):
        def finished(outcome):
            answered[0] += 1
            done(outcome)

        return answer(to, request, timeout, finished)

    rig.client.ask = counting
    assert rig.get(result.capability, room=room(Habits(message=20_000, window=1_000_000))) == content(6_000_000)
    assert max(late) <= 3 * 20


def test_primary_shares_are_kept_to_while_their_servers_are_quick():
    rig, result = stocked(size=2_000_000)
    rig.get(result.capability, room=room())
    assert [machine.name for machine in asked(rig)] == sorted(result.homes[number] for number in range(3))


def test_busy_holders_are_relieved_by_servers_that_nobody_has_asked_yet():
    rig, result = stocked(size=200_000)
    for machine in rig.servers:
        machine.service = 1.0
    before = rig.world.now()
    assert rig.get(result.capability, room=room()) == content(200_000)
    assert len(asked(rig)) == 10
    assert rig.world.now() - before < 0.5 * 3 * 21 / 3


def test_a_slow_line_is_not_stuffed_with_hedges():
    rig, result = stocked(servers=10, size=200_000)
    for machine in rig.servers:
        machine.service, machine.line = 0.4, rig.client
    assert rig.get(result.capability, room=room()) == content(200_000)
    blocks = sum(machine.count(ReadShares) for machine in rig.servers)
    assert blocks <= 1.25 * 3 * 21


# --- servers that lie -------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [40, 36 + SEGMENT + 7], ids=["first block", "later block"])
def test_a_corrupt_share_is_replaced_by_another_and_reported(offset):
    rig, result = stocked()
    corrupt(rig, result, 0, offset)
    assert rig.get(result.capability, room=room()) == content(SIZE)
    assert advice(rig) == [(result.homes[0], 0)]


@settings(max_examples=150, deadline=None)
@given(offset=st.integers(0, 3000), numbers=st.sets(st.integers(0, 9), min_size=1, max_size=7), where=st.booleans())
def test_a_flipped_bit_anywhere_in_up_to_n_minus_k_shares_is_harmless(offset, numbers, where):
    rig, result = stocked(size=3000, segment=1000)
    for number in sorted(numbers):
        size = len(rig.store(result.homes[number])._shares[result.capability.storage_index][number].content)
        corrupt(rig, result, number, offset % size if where else size - 1 - offset % size)
    assert rig.get(result.capability) == content(3000)


def test_only_corrupt_shares_is_not_enough_shares():
    rig, result = stocked()
    for number in range(8):
        corrupt(rig, result, number, 40)
    with pytest.raises(NotEnoughShares) as caught:
        rig.get(result.capability, room=room())
    assert caught.value.found == 2
    assert sum("share" in reason for reason in caught.value.reasons) == 8
    assert len(advice(rig)) == 8


def _bend_shares(change):
    """A liar: changes each share that it gives."""

    def bend(message, answer):
        if isinstance(answer, SharesRead):
            return SharesRead(answer.held, tuple(change(share) for share in answer.shares))
        return answer

    return bend


def _blocks(**changes):
    return lambda share: structs.replace(
        share, blocks=tuple(structs.replace(block, **changes) for block in share.blocks)
    )


LIES = {
    "another uri extension": lambda share: structs.replace(share, uri_extension=b"size:1:1,"),
    "no share hashes": lambda share: structs.replace(share, share_hashes=()),
    "wrong share hashes": lambda share: structs.replace(
        share, share_hashes=tuple(structs.replace(node, digest=b"x" * 32) for node in share.share_hashes)
    ),
    "nodes that no tree has": lambda share: structs.replace(
        share, share_hashes=tuple(structs.replace(node, number=-5) for node in share.share_hashes)
    ),
    "no blocks": lambda share: structs.replace(share, blocks=()),
    "other segments": _blocks(segment=77),
    "empty blocks": _blocks(data=b""),
    "blocks that are too long": _blocks(data=b"x" * 100_000),
    "no paths": _blocks(block_path=(), ciphertext_path=()),
    "another number": lambda share: structs.replace(share, number=(share.number + 1) % 10),
    "an impossible number": lambda share: structs.replace(share, number=1000),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
@pytest.mark.parametrize("liars", [1, 7])
def test_liars_are_seen_through(lie, liars):
    rig, result = stocked()
    for number in range(liars):
        rig.machine(result.homes[number]).bend = _bend_shares(lie)
    assert rig.get(result.capability, room=room()) == content(SIZE)


def test_a_server_that_claims_shares_and_gives_none_is_not_asked_for_ever():
    rig, result = stocked()
    for number in range(8):
        rig.machine(result.homes[number]).bend = lambda _, answer: (
            SharesRead(answer.held, ()) if isinstance(answer, SharesRead) else answer
        )
    with pytest.raises(NotEnoughShares):
        rig.get(result.capability, room=room())


def test_shares_that_the_file_does_not_have_are_not_counted():
    rig, result = stocked()
    for number in range(8):
        rig.machine(result.homes[number]).bend = lambda _, answer: (
            SharesRead((ShareFacts(1000 + len(answer.shares), 1, result.capability.ueb_hash),), ())
            if isinstance(answer, SharesRead)
            else answer
        )
    with pytest.raises(NotEnoughShares) as caught:
        rig.get(result.capability, room=room())
    assert caught.value.found == 2


def test_a_share_of_another_file_under_the_same_index_is_ignored():
    rig, result = stocked()
    other = rig.put(content(SIZE, seed=5), terms(convergence=None, segment=SEGMENT))
    for number in range(7):
        theirs = rig.store(other.homes[number])._shares[other.capability.storage_index][number]
        rig.store(result.homes[number])._shares[result.capability.storage_index][number] = theirs
    assert rig.get(result.capability, room=room()) == content(SIZE)
    assert advice(rig) == []


def test_a_server_that_gives_fewer_blocks_than_asked_slows_nobody_down_for_good():
    rig, result = stocked(size=20_000, segment=300)

    def stingy(share):
        return structs.replace(share, blocks=share.blocks[:1])

    rig.machine(result.homes[2]).bend = _bend_shares(stingy)
    assert rig.get(result.capability) == content(20_000)


def test_a_server_that_refuses_a_piece_of_a_long_block_is_replaced():
    rig, result = stocked(encoding=Encoding(1, 2, 2), size=300_000, segment=100_000)
    rig.machine(result.homes[0]).bend = _refuse_second_piece()
    asks = []
    ask = rig.client.ask
    rig.client.ask = lambda *arguments: asks.append((ask(*arguments), arguments[1])) or asks[-1][0]
    assert rig.get(result.capability, room=room()) == content(300_000)
    assert sum(asking.cancelled for asking, request in asks if isinstance(request, ReadShare)) >= 20


def _refuse_second_piece():
    pieces = []

    def bend(_, answer):
        if isinstance(answer, ShareBytes):
            pieces.append(answer)
            if len(pieces) == 2:
                return Refused("busy")
        return answer

    return bend


def test_a_lie_in_a_piece_of_a_long_block_is_seen_through():
    rig, result = stocked(encoding=Encoding(1, 2, 2), size=300_000, segment=100_000)
    rig.machine(result.homes[0]).bend = lambda _, answer: (
        ShareBytes(bytes(len(answer.data))) if isinstance(answer, ShareBytes) else answer
    )
    assert rig.get(result.capability, room=room()) == content(300_000)


def test_a_file_made_wrong_is_called_so():
    rig, result = stocked()
    cap = result.capability
    wrong_key = ImmutableRead(bytes(16), cap.ueb_hash, cap.needed, cap.total, cap.size)
    with pytest.raises(NotEnoughShares):
        rig.get(wrong_key)
    wrong_size = ImmutableRead(cap.key, cap.ueb_hash, cap.needed, cap.total, cap.size + 1)
    with pytest.raises(CorruptFile):
        rig.get(wrong_size)


def test_a_capability_without_sense_is_refused():
    rig = Rig()
    with pytest.raises(BadCapability):
        rig.get(ImmutableRead(bytes(16), bytes(32), 5, 3, 1000))


# --- the reader -------------------------------------------------------------------------------------------


def test_nothing_is_fetched_beyond_the_window_while_the_reader_stalls():
    rig, result = stocked(size=1_000_000)
    shared = room(Habits(message=20_000, window=100_000))

    async def stall():
        async with Download(rig.ctx, rig.roster, result.capability, Span(), shared) as chunks:
            first = await anext(chunks)
            await rig.ctx.sleep(30.0)
            held = shared.budget.held
            asks = sum(machine.count(ReadShares) for machine in rig.servers)
            return held, asks, first + b"".join([chunk async for chunk in chunks])

    held, asks, data = rig.run(stall())
    assert held <= 100_000
    assert asks <= 3 * (100_000 // SEGMENT + 1)
    assert data == content(1_000_000)
    assert (shared.budget.held, shared.budget.under_way) == (0, 0)


def test_a_fresh_small_request_is_served_while_stalled_ones_hold_the_budget():
    rig, result = stocked(size=1_000_000)
    shared = room(budget=100_000)

    async def crowd():
        stalled = []
        for _ in range(4):
            download = Download(rig.ctx, rig.roster, result.capability, Span(), shared)
            await download.__aenter__()
            await anext(download)
            stalled.append(download)
        await rig.ctx.sleep(5.0)
        assert shared.budget.held <= 100_000
        before = rig.ctx.now()
        data = await read_all(rig.ctx, rig.roster, result.capability, Span(500_000, 100), shared)
        waited = rig.ctx.now() - before
        for download in stalled:
            await download.__aexit__(None, None, None)
        return data, waited

    data, waited = rig.run(crowd())
    assert data == content(1_000_000)[500_000:500_100]
    assert waited < 0.1
    assert (shared.budget.held, shared.budget.sharers) == (0, 0)


@pytest.mark.parametrize("moment", [0.0, 0.3, 2.0])
def test_a_fresh_small_request_does_not_wait_behind_all_that_many_others_have_asked_for(moment):
    rig, result = stocked(size=500_000)
    for machine in rig.servers:
        machine.service, machine.line = 0.005, rig.client
    readers, at_once = 20, 5
    shared = ReadingRoom(Budget(2**26, at_once * SEGMENT), habits=ROOM_FOR_ONE)

    async def crowd():
        tasks = [
            rig.ctx.spawn(read_all(rig.ctx, rig.roster, result.capability, Span(), shared)) for _ in range(readers)
        ]
        await rig.ctx.sleep(moment)
        before = rig.ctx.now()
        data = await read_all(rig.ctx, rig.roster, result.capability, Span(400_000, 100), shared)
        waited = rig.ctx.now() - before
        assert shared.budget.under_way <= (readers + at_once) * SEGMENT
        for task in tasks:
            task.cancel()
        return data, waited

    data, waited = rig.run(crowd())
    assert data == content(500_000)[400_000:400_100]
    assert waited < 2 * (readers + at_once) * 3 * 0.005


def test_leaving_early_stops_what_is_under_way_and_frees_the_budget():
    rig, result = stocked(size=1_000_000)
    shared = room()
    asks = []
    ask = rig.client.ask
    rig.client.ask = lambda *arguments: asks.append(ask(*arguments)) or asks[-1]

    async def leave():
        async with Download(rig.ctx, rig.roster, result.capability, Span(), shared) as chunks:
            await anext(chunks)
            await anext(chunks)

    rig.run(leave())
    rig.wait(0.0)
    assert asks[-1].cancelled
    count = len(asks)
    rig.wait(60.0)
    assert len(asks) == count
    assert (shared.budget.held, shared.budget.sharers) == (0, 0)


@pytest.mark.parametrize("moment", [0.001, 0.006, 0.0101, 0.02])
def test_a_cancelled_reader_frees_the_budget(moment):
    rig, result = stocked(size=1_000_000)
    shared = room()
    task = rig.start(_swallow(rig, result, shared))
    rig.wait(moment)
    task.cancel()
    rig.wait(1.0)
    assert (shared.budget.held, shared.budget.sharers) == (0, 0)


async def _swallow(rig, result, shared):
    await read_all(rig.ctx, rig.roster, result.capability, None, shared)


def test_an_error_ends_the_iteration():
    rig, result = stocked()
    for store in rig.stores:
        store._shares.clear()

    async def twice():
        async with Download(rig.ctx, rig.roster, result.capability, Span(), room()) as chunks:
            with pytest.raises(NotEnoughShares):
                await anext(chunks)
            return [chunk async for chunk in chunks]

    assert rig.run(twice()) == []


def test_a_file_is_read_while_another_copy_of_it_is_uploaded():
    rig, result = stocked(convergence=b"convergence")
    order = terms(convergence=b"convergence", segment=SEGMENT)
    again = rig.world.observe(upload(rig.ctx, rig.roster, order, BytesSource(content(SIZE))), rig.client.life)
    assert rig.get(result.capability, room=room()) == content(SIZE)
    assert rig.world.run(again).capability == result.capability


# --- laws -------------------------------------------------------------------------------------------------

MOODS = ["well", "down", "slow", "refuses", "rotten", "empty", "lies", "dies"]


def _moody(rig, machine, mood, index):
    if mood == "down":
        machine.down = True
    elif mood == "slow":
        machine.delay = 3.0
    elif mood == "refuses":
        machine.bend = lambda *_: Refused("busy")
    elif mood == "rotten":
        for share in machine.actor.store._shares.get(index, {}).values():
            share.content = share.content[:50] + bytes([share.content[50] ^ 255]) + share.content[51:]
    elif mood == "empty":
        machine.actor.store._shares.pop(index, None)
    elif mood == "lies":
        machine.bend = _bend_shares(LIES["wrong share hashes"])
    elif mood == "dies":

        def die(message, answer):
            machine.down = machine.count(ReadShares) >= 2
            return answer

        machine.bend = die


@settings(max_examples=100, deadline=None)
@given(moods=st.lists(st.sampled_from(MOODS), min_size=5, max_size=5), needed=st.integers(1, 5), seed=st.integers(0, 2))
def test_the_bytes_are_right_or_there_are_not_enough_shares(moods, needed, seed):
    rig = Rig(servers=5, seed=seed)
    data = content(20_000, seed)
    result = rig.put(data, terms(Encoding(needed, 1, 6), None, segment=2000))
    for machine, mood in zip(rig.servers, moods, strict=True):
        _moody(rig, machine, mood, result.capability.storage_index)
    good = {
        number
        for number, nodes in rig.holdings(result.capability.storage_index).items()
        for node in nodes
        if moods[rig.servers.index(rig.machine(node))] in ("well", "slow")
    }
    try:
        assert rig.get(result.capability, room=room(Habits(message=17_500, patience=5.0))) == data
    except NotEnoughShares:
        assert len(good) < needed
