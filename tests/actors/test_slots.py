"""Slots as clients see them: one round trip where nobody interferes, and nothing acknowledged is ever lost."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import msgspec
import pytest

from tahoe.actors.slots import Revision, SlotTerms
from tahoe.errors import Conflict, Indefinite, NotEnoughServers, NotEnoughShares, Refused, RolledBack, Unanswered
from tahoe.protocol import AdviseCorrupt, ReadSlot, SlotRead, WriteSlot
from tests.actors.rig import content
from tests.actors.slotrig import TERMS, SlotRig, patient


@pytest.fixture
def rig():
    return SlotRig()


def read(rig, capability, client=0, offset=0, length=None):
    return rig.do(rig.slots[client].read(capability, offset, length), client).data


def settle(rig):
    rig.wait(rig.terms.patience.write)


# --- one client, all servers well --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 299, 300, 301, 5000])
def test_contents_come_back_to_the_writer_and_to_who_has_the_read_cap(rig, size):
    capability = rig.do(rig.slots[0].create(content(size)))
    assert read(rig, capability) == content(size)
    assert read(rig, capability.read_only(), 1) == content(size)
    assert read(rig, capability.read_only(), 1, size // 3, 70) == content(size)[size // 3 :][:70]
    assert read(rig, capability.read_only(), 1, size + 5, 70) == b""


def test_a_new_slot_costs_one_message_to_each_of_n_servers(rig):
    rig.do(rig.slots[0].create(b"contents"))
    assert rig.sent() == 10


def test_changing_what_is_in_hand_costs_one_round_trip(rig):
    capability = rig.do(rig.slots[0].create(content(5000)))
    settle(rig)
    for change in (
        rig.slots[0].overwrite(capability, content(4000, 1)),
        rig.slots[0].update(capability, 4000, b"appended"),
    ):
        before = rig.sent()
        rig.do(change)
        settle(rig)
        assert rig.sent() - before == 10
    assert read(rig, capability, 1) == content(4000, 1) + b"appended"


def test_a_small_slot_never_seen_is_read_in_one_round_trip(rig):
    capability = rig.do(rig.slots[0].create(content(2000)))
    settle(rig)
    before = rig.sent()
    assert read(rig, capability, 1) == content(2000)
    assert rig.sent() - before <= 10


def test_contents_that_are_known_are_not_sent_again(rig):
    capability = rig.do(rig.slots[0].create(content(2000)))
    settle(rig)
    answers = []
    for machine in rig.servers:
        machine.bend = lambda _, answer: answers.append(answer) or answer
    assert read(rig, capability) == content(2000)
    assert not any(share.blocks for answer in answers for share in answer.shares)


def test_a_small_change_in_a_large_slot_touches_nothing_else(rig):
    rig.terms = SlotTerms(3, 10, segment_size=3000, patience=TERMS.patience)
    data = content(600_000)
    capability = rig.do(rig.slots[0].create(data))
    settle(rig)
    moved = []
    for machine in rig.servers:
        machine.bend = lambda request, answer: moved.append(_bulk(request) + _bulk(answer)) or answer
    rig.do(rig.slots[1].update(capability, 300_000, bytes(100)), 1)
    settle(rig)
    assert sum(moved) <= 2 * 10 * 1000
    assert read(rig, capability) == data[:300_000] + bytes(100) + data[300_100:]


def _bulk(message) -> int:
    blocks = [block for share in getattr(message, "shares", ()) for block in share.blocks]
    return sum(len(block.data) for block in blocks)


@pytest.mark.parametrize("client", [0, 1])
def test_updates_anywhere_give_what_a_byte_array_would(client):
    rng = Random(client)
    rig = SlotRig()
    data = bytearray(content(1000))
    capability = rig.do(rig.slots[0].create(bytes(data)))
    for _ in range(25):
        offset, piece = rng.randrange(len(data) + 500), rng.randbytes(rng.randrange(700))
        data.extend(bytes(max(0, offset + len(piece) - len(data))))
        data[offset : offset + len(piece)] = piece
        rig.do(rig.slots[client].update(capability, offset, piece), client)
    assert read(rig, capability, 1) == data


def test_a_slot_shrinks_and_grows_again(rig):
    capability = rig.do(rig.slots[0].create(content(5000)))
    for size in (10, 0, 3000, 299):
        rig.do(rig.slots[0].overwrite(capability, content(size, size)))
        assert read(rig, capability, 1) == content(size, size)


def test_contents_larger_than_messages_are_written_and_read_in_pieces(rig):
    rig.terms = SlotTerms(3, 10, segment_size=3000, message=32 * 1024, patience=TERMS.patience)
    data = content(300_000)
    capability = rig.do(rig.slots[0].create(data))
    assert read(rig, capability, 1) == data
    rig.do(rig.slots[1].overwrite(capability, data[::-1]), 1)
    assert read(rig, capability, 0) == data[::-1]

    async def streamed():
        return [piece async for piece in await rig.slots[1].stream(capability, 1000, 200_000)]

    assert b"".join(rig.do(streamed(), 1)) == data[::-1][1000:201_000]


def test_k_and_n_of_new_slots_are_chosen_apart_from_those_of_files(rig):
    rig.terms = SlotTerms(1, 4, patience=TERMS.patience)
    capability = rig.do(rig.slots[0].create(b"one of four"))
    settle(rig)
    holders = [server for server, store in enumerate(rig.stores) if store.slots.numbers(capability.storage_index)]
    assert len(holders) == 4
    for server in holders[:3]:
        rig.servers[server].down = True
    assert read(rig, capability, 1) == b"one of four"


@pytest.mark.parametrize("servers", [1, 2, 4])
def test_with_fewer_servers_than_shares_some_keep_several(servers):
    rig = SlotRig(servers=servers)
    capability = rig.do(rig.slots[0].create(content(1000)))
    rig.do(rig.slots[1].update(capability, 500, b"changed"), 1)
    assert read(rig, capability, 0) == content(1000)[:500] + b"changed" + content(1000)[507:]


def test_no_server_no_slot(rig):
    rig.roster = []
    with pytest.raises(NotEnoughServers):
        rig.do(rig.slots[0].create(b"contents"))


def test_a_new_slot_goes_elsewhere_if_its_first_homes_refuse():
    rig = SlotRig(servers=20)
    for machine in rig.servers[:9]:
        machine.bend = lambda request, answer: Refused("NoSpace") if isinstance(request, WriteSlot) else answer
    for number in range(10):
        capability = rig.do(rig.slots[0].create(b"%d" % number))
        assert read(rig, capability, 1) == b"%d" % number


# --- servers that are down ---------------------------------------------------------------------------------


def test_with_three_homes_of_ten_down_a_slot_is_read_and_changed_and_they_are_mended_later(rig):
    capability = rig.do(rig.slots[0].create(content(1000)))
    settle(rig)
    for machine in rig.servers[:3]:
        machine.down = True
    rig.do(rig.slots[1].update(capability, 0, b"one"), 1)
    rig.do(rig.slots[0].update(capability, 3, b"two"))
    expected = b"onetwo" + content(1000)[6:]
    rig.restart(1)
    assert read(rig, capability, 1) == expected
    for machine in rig.servers[:3]:
        machine.down = False
    rig.wait(rig.terms.patience.mending)
    rig.do(rig.slots[0].update(capability, 6, b"three"))
    settle(rig)
    assert len(set(rig.carried(capability))) == 1
    assert read(rig, capability, 1) == expected[:6] + b"three" + expected[11:]


def test_with_four_homes_down_nothing_is_written_and_what_is_read_may_be_stale(rig):
    capability = rig.do(rig.slots[0].create(content(1000)))
    settle(rig)
    for machine in rig.servers[:4]:
        machine.down = True
    found = rig.do(rig.slots[1].read(capability), 1)
    assert found.data == content(1000)
    assert found.may_be_stale
    before = rig.carried(capability)
    with pytest.raises(NotEnoughServers):
        rig.do(rig.slots[1].overwrite(capability, b"new"), 1)
    assert rig.carried(capability) == before


def test_homes_that_are_known_to_be_gone_are_not_waited_for(rig):
    capability = rig.do(rig.slots[0].create(content(1000)))
    settle(rig)
    for machine in rig.servers[:4]:
        machine.down = True
        rig.gone[machine.name] = None
    began = rig.world.now()
    assert rig.do(rig.slots[1].read(capability), 1).may_be_stale
    with pytest.raises(NotEnoughServers):
        rig.do(rig.slots[0].overwrite(capability, b"new"))
    assert rig.world.now() - began < 0.1


def test_with_eight_homes_down_nothing_can_be_read(rig):
    capability = rig.do(rig.slots[0].create(content(1000)))
    for machine in rig.servers[:8]:
        machine.down = True
    with pytest.raises(NotEnoughShares) as caught:
        rig.do(rig.slots[1].read(capability), 1)
    assert (caught.value.found, caught.value.needed) == (2, 3)


def test_a_write_whose_answers_are_lost_is_known_to_be_done_in_the_end(rig):
    capability = rig.do(rig.slots[0].create(content(1000)))
    settle(rig)
    for machine in rig.servers:
        machine.bend = lambda request, answer: None if isinstance(request, WriteSlot) else answer
    rig.do(rig.slots[0].overwrite(capability, b"done anyway"))
    assert read(rig, capability, 1) == b"done anyway"
    assert {version.sequence for version in rig.carried(capability)} == {2}


def test_a_write_of_which_nobody_knows_is_indefinite(rig):
    capability = rig.do(rig.slots[0].create(content(1000)))
    settle(rig)

    def deaf(request, answer):
        return None

    for machine in rig.servers[:4]:
        machine.bend = deaf
    with pytest.raises((Indefinite, NotEnoughServers)) as caught:
        rig.do(rig.slots[0].overwrite(capability, b"who knows"))
    assert isinstance(caught.value, Indefinite)
    assert caught.value.quorum == 7


def test_a_slow_home_delays_neither_readers_nor_writers(rig):
    capability = rig.do(rig.slots[0].create(content(1000)))
    settle(rig)
    for machine in rig.servers[:3]:
        machine.delay = 1.5
    began = rig.world.now()
    rig.do(rig.slots[0].overwrite(capability, b"quick"))
    assert read(rig, capability, 1) == b"quick"
    assert rig.world.now() - began < 0.3
    settle(rig)
    assert len(set(rig.carried(capability))) == 1, "the slow ones have it, too, by and by"


def test_a_reader_finds_homes_far_down_the_order_of_a_grid_that_has_grown():
    rig = SlotRig(servers=60)
    grown = rig.roster
    rig.roster = rig.roster[:10]
    capability = rig.do(rig.slots[0].create(content(1000)))
    rig.roster = grown
    assert read(rig, capability, 1) == content(1000)


# --- servers that lie --------------------------------------------------------------------------------------


def test_a_valid_header_with_junk_blocks_is_noticed_and_others_are_read(rig):
    capability = rig.do(rig.slots[0].create(content(1000)))
    settle(rig)
    for machine in rig.servers[:7]:
        machine.bend = _junk
    assert read(rig, capability, 1) == content(1000)
    settle(rig)
    assert any(machine.count(AdviseCorrupt) for machine in rig.servers[:7])
    assert not any(machine.count(AdviseCorrupt) for machine in rig.servers[7:])


def _junk(request, answer):
    if not isinstance(answer, SlotRead):
        return answer
    replace = msgspec.structs.replace
    shares = tuple(
        replace(share, blocks=tuple(replace(block, data=bytes(len(block.data))) for block in share.blocks))
        for share in answer.shares
    )
    return SlotRead(shares)


@pytest.mark.parametrize("client", [0, 1])
def test_swapped_shares_are_noticed(rig, client):
    capability = rig.do(rig.slots[0].create(content(1000)))
    settle(rig)

    def swap(request, answer):
        if not isinstance(answer, SlotRead):
            return answer
        return SlotRead(
            tuple(msgspec.structs.replace(share, number=(share.number + 1) % 10) for share in answer.shares)
        )

    for machine in rig.servers[:3]:
        machine.bend = swap
    assert rig.do(rig.slots[1].read(capability), 1).data == content(1000)
    rig.do(rig.slots[client].update(capability, 3, b"x"), client)
    for machine in rig.servers:
        machine.bend = None
    assert read(rig, capability, 1)[:5] == content(1000)[:3] + b"x" + content(1000)[4:5]


def test_versions_that_are_not_signed_do_not_exist(rig):
    capability = rig.do(rig.slots[0].create(content(1000)))
    settle(rig)

    def forge(request, answer):
        if not isinstance(answer, SlotRead):
            return answer
        replace = msgspec.structs.replace
        shares = (
            replace(
                share, signed=replace(share.signed, version=b"\1" + (9).to_bytes(8, "big") + share.signed.version[9:])
            )
            for share in answer.shares
        )
        return SlotRead(tuple(shares))

    for machine in rig.servers[:3]:
        machine.bend = forge
    found = rig.do(rig.slots[1].read(capability), 1)
    assert (found.data, found.version.sequence, found.may_be_stale) == (content(1000), 1, False)


def test_servers_that_roll_back_are_named_also_after_a_restart(rig):
    capability = rig.do(rig.slots[0].create(b"old"))
    settle(rig)
    old = {
        machine.name: machine.actor.slots.head(capability.storage_index, number)
        for machine in rig.servers
        for number in machine.actor.slots.numbers(capability.storage_index)
    }
    answers = {}
    for machine in rig.servers:
        answers[machine.name] = rig.do(rig.slots[1].read(capability), 1)
        machine.bend = _recorder(answers, machine.name)
    read(rig, capability, 1)
    assert len(old) == 10
    rig.do(rig.slots[0].overwrite(capability, b"new"))
    for machine in rig.servers:
        machine.bend = None
    assert read(rig, capability, 1) == b"new"
    rig.wait(1.0)
    rig.restart(1)
    for machine in rig.servers:
        machine.bend = _replayed(answers[machine.name])
    with pytest.raises(RolledBack) as caught:
        rig.do(rig.slots[1].read(capability), 1)
    assert (caught.value.seen, caught.value.found) == (2, 1)
    assert len(caught.value.servers) >= 7


def _recorder(answers, name):
    def record(request, answer):
        if isinstance(answer, SlotRead):
            answers[name] = answer
        return answer

    return record


def _replayed(recorded):
    return lambda request, answer: recorded if isinstance(request, ReadSlot) else answer


def test_what_was_seen_before_is_given_though_most_servers_roll_back_but_only_with_a_warning(rig):
    capability = rig.do(rig.slots[0].create(content(100)))
    settle(rig)
    answers = {}
    for machine in rig.servers:
        machine.bend = _recorder(answers, machine.name)
    read(rig, capability, 1)
    rig.wait(1.0)
    for machine in rig.servers:
        machine.bend = None
    rig.do(rig.slots[0].overwrite(capability, content(100, 1)))
    assert read(rig, capability, 1) == content(100, 1)
    rig.wait(1.0)
    rig.restart(1)
    rolled = [machine for machine in rig.servers if machine.name in answers][:7]
    for machine in rolled:
        machine.bend = _replayed(answers[machine.name])
    found = rig.do(rig.slots[1].read(capability), 1)
    assert (found.data, found.may_be_stale) == (content(100, 1), True)


async def asked(rig, home, capability):
    """Ask one home for all that it has."""
    server = next(each for each in rig.roster if each.node == home.name)
    question = ReadSlot(capability.storage_index, 0, 1000, 10_000)
    return await rig.clients[0].context.ask(server.address, question, timeout=5.0)


def test_where_the_lie_of_one_home_would_hide_a_version_the_reader_is_told_of_doubt(rig):
    capability = rig.do(rig.slots[0].create(content(100)))
    settle(rig)
    homes = [rig.home(capability, number) for number in range(10)]
    answers = {}
    homes[5].bend = _recorder(answers, homes[5].name)
    rig.do(asked(rig, homes[5], capability))
    for machine in homes[:3]:
        machine.down = True
    rig.do(rig.slots[0].overwrite(capability, content(100, 1)))
    settle(rig)
    for machine in homes[:3]:
        machine.down = False
    homes[5].bend = _replayed(answers[homes[5].name])
    found = rig.do(rig.slots[1].read(capability), 1)
    assert (found.data, found.may_be_stale) == (content(100, 1), True)


# --- several writers -----------------------------------------------------------------------------------------


def _adding(word: bytes):
    """Adds a word to all words of all heads, once."""

    async def revise(draft):
        words = {}
        for head in draft.heads:
            words |= dict.fromkeys((await draft.contents(head)).split())
        base = (await draft.contents()).split()
        if word in base and list(words) == base:
            return None
        return Revision.whole(b" ".join([*words, word] if word not in words else words))

    return revise


@pytest.mark.parametrize("clients", [2, 5])
@pytest.mark.parametrize("seed", range(6))
def test_writers_who_race_all_have_their_changes_in_the_end(clients, seed):
    rig = SlotRig(clients=clients, seed=seed)
    rng = Random(seed)
    capability = rig.do(rig.slots[0].create(b""))
    settle(rig)
    for machine in rig.servers:
        machine.delay = rng.uniform(0.001, 0.1)

    async def several(client):
        for number in range(3):
            await rig.slots[client].modify(capability, _adding(b"%d/%d" % (client, number)))

    outcomes = rig.all(*(several(client) for client in range(clients)))
    assert outcomes == [None] * clients
    words = set(read(rig, capability).split())
    assert words == {b"%d/%d" % (client, number) for client in range(clients) for number in range(3)}


def test_of_two_who_overwrite_one_version_the_second_is_told(rig):
    capability = rig.do(rig.slots[0].create(b"first"))
    settle(rig)
    version = rig.do(rig.slots[1].read(capability), 1).version
    rig.do(rig.slots[0].overwrite(capability, b"mine"))
    with pytest.raises(Conflict):
        rig.do(rig.slots[1].overwrite(capability, b"theirs", expected=version), 1)
    assert read(rig, capability, 1) == b"mine"


def test_stories_of_one_client_change_a_slot_one_after_the_other(rig):
    capability = rig.do(rig.slots[0].create(b""))
    settle(rig)
    promises = [
        rig.world.observe(rig.slots[0].modify(capability, _adding(b"%d" % number)), rig.clients[0].life)
        for number in range(5)
    ]
    for promise in promises:
        rig.world.run(promise)
    assert read(rig, capability).split() == [b"%d" % number for number in range(5)]
    assert {version.sequence for version in rig.carried(capability)} == {6}


def test_a_story_that_is_stopped_while_it_waits_for_its_turn_lets_others_pass(rig):
    capability = rig.do(rig.slots[0].create(b""))
    settle(rig)
    slots, ctx = rig.slots[0], rig.clients[0].context

    async def one(word):
        await slots.modify(capability, _adding(word))

    async def race():
        tasks = [ctx.spawn(one(word)) for word in (b"first", b"stopped", b"third")]
        await ctx.sleep(0.001)
        tasks[1].cancel()
        await slots.modify(capability, _adding(b"last"))

    rig.do(race())
    assert read(rig, capability).split() == [b"first", b"third", b"last"]


def test_a_fork_that_won_nowhere_is_mended_by_the_next_writer(rig):
    capability = rig.do(rig.slots[0].create(b"base"))
    settle(rig)
    reached = 0

    def deliver_to_four(machine, original):
        def deliver(sender, message, asking):
            nonlocal reached
            if isinstance(message, WriteSlot):
                if reached >= 4:
                    return
                reached += 1
            original(sender, message, asking)

        return deliver

    originals = {machine: machine.deliver for machine in rig.servers}
    for machine, original in originals.items():
        machine.deliver = deliver_to_four(machine, original)
    rig.terms = patient(TERMS, tries=1)
    with pytest.raises(Indefinite):
        rig.do(rig.slots[0].modify(capability, _adding(b"fork")))
    assert sorted(version.sequence for version in rig.carried(capability)) == [1] * 6 + [2] * 4
    for machine, original in originals.items():
        machine.deliver = original
    rig.terms = TERMS
    rig.do(rig.slots[1].modify(capability, _adding(b"next")), 1)
    settle(rig)
    assert {version.sequence for version in rig.carried(capability)} == {3}
    assert set(read(rig, capability).split()) == {b"base", b"fork", b"next"}


def test_a_writer_waits_for_a_rival_of_whom_too_little_is_there_to_be_merged(rig):
    capability = rig.do(rig.slots[0].create(b"base"))
    settle(rig)
    rival = rig.clients[0].name
    reached = 0

    def late(original):
        def deliver(sender, message, asking):
            nonlocal reached
            reached += isinstance(message, WriteSlot) and sender == rival
            if isinstance(message, WriteSlot) and sender == rival and reached > 2:
                rig.world.after(1.0, original, sender, message, asking)
            else:
                original(sender, message, asking)

        return deliver

    for machine in rig.servers:
        machine.deliver = late(machine.deliver)
    first = rig.world.observe(rig.slots[0].modify(capability, _adding(b"first")), rig.clients[0].life)
    rig.wait(0.1)
    assert sorted(version.sequence for version in rig.carried(capability)) == [1] * 8 + [2] * 2
    second = rig.do(rig.slots[1].modify(capability, _adding(b"second")), 1)
    assert (rig.world.run(first).sequence, second.sequence) == (2, 3)
    assert set(read(rig, capability).split()) == {b"base", b"first", b"second"}


def test_what_a_straggler_tells_of_a_newer_version_is_merged_by_the_next_change():
    rig = SlotRig(servers=3, terms=replace(TERMS, needed=1, total=3))
    capability = rig.do(rig.slots[0].create(b"base"))
    settle(rig)
    last, second = rig.home(capability, 2), rig.home(capability, 1)
    deliver, kept = last.deliver, []
    last.deliver = lambda *delivery: kept.append(delivery)
    rig.do(rig.slots[0].modify(capability, _adding(b"mine")))
    last.deliver, second.down = deliver, True
    rig.do(rig.slots[1].modify(capability, _adding(b"theirs")), 1)
    second.down = False
    assert [version.sequence for version in rig.carried(capability)] == [3, 2, 3]
    for delivery in kept:
        last.deliver(*delivery)
    rig.wait(0.1)
    rig.do(rig.slots[0].modify(capability, _adding(b"again")))
    assert set(read(rig, capability).split()) == {b"base", b"mine", b"theirs", b"again"}


@pytest.mark.parametrize("refusing", [4, 10])
def test_a_writer_whom_most_homes_refuse_is_told_whether_it_is_certain(rig, refusing):
    capability = rig.do(rig.slots[0].create(b"base"))
    settle(rig)
    for machine in rig.servers[:refusing]:
        machine.actor.receive = _refusing_writes(machine.actor.receive)
    with pytest.raises(NotEnoughServers if refusing == 10 else Indefinite, match="full"):
        rig.do(rig.slots[0].overwrite(capability, b"refused"))
    if refusing == 10:
        assert read(rig, capability, 1) == b"base"


def _refusing_writes(receive):
    async def refuse(sender, message):
        if isinstance(message, WriteSlot):
            raise Refused("NoSpace", "the disk is full")
        return await receive(sender, message)

    return refuse


def test_no_answer_at_all_while_asking_is_not_enough_servers(rig):
    capability = rig.do(rig.slots[0].create(b"base"))
    settle(rig)
    for machine in rig.servers:
        machine.bend = lambda *_: Unanswered("nobody")
    with pytest.raises(NotEnoughShares):
        rig.do(rig.slots[1].read(capability), 1)
