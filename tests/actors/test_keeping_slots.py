"""Checking, verifying and repairing slots by their verify caps: the same version, the same bytes, and no flipping."""

from __future__ import annotations

import msgspec
import pytest

from tahoe.actors import slotrepairing
from tahoe.actors.keeping import KeepingDesk, KeepingTerms
from tahoe.actors.slotchecking import check_slot, verify_slot
from tahoe.actors.slotrepairing import mend_slot
from tahoe.actors.slotterms import SlotTerms
from tahoe.actors.terms import Limits
from tahoe.errors import NotEnoughShares, Refused
from tahoe.protocol import ReadSlot, StageSlot, WriteSlot
from tests.actors.rig import MASTER, content
from tests.actors.slotrig import TERMS, SlotRig

SIZES = pytest.mark.parametrize("size", [0, 1, 300, 5000])


@pytest.fixture
def rig():
    return SlotRig(servers=12)


def desk(rig, limits=Limits()):  # noqa: B008  # immutable
    terms = KeepingTerms(MASTER, limits, question=3.0, straggler=1.0)
    return KeepingDesk(rig.ctx, lambda: rig.roster, lambda: terms)


def create(rig, size=5000):
    capability = rig.do(rig.slots[0].create(content(size)))
    rig.wait(rig.terms.patience.write)
    return capability


def check(rig, capability):
    return rig.run(check_slot(desk(rig), capability.verifier(), rig.roster))


def verify(rig, capability):
    return rig.run(verify_slot(desk(rig), capability.verifier(), rig.roster))


def mend(rig, capability, findings=None, limits=Limits()):  # noqa: B008  # immutable
    findings = findings or check(rig, capability)
    return rig.run(mend_slot(desk(rig, limits), capability.verifier(), findings))


def whole(store, index, number):
    """Everything of a share that a reader may see."""
    head = store.slots.head(index, number)
    records = store.slots.read(index, number, range(head.version.shape.segment_count))
    return (head.proof, head.chain, tuple(records))


def shares(rig, capability):
    index = capability.storage_index
    found = {}
    for machine, store in zip(rig.servers, rig.stores, strict=True):
        for number in store.slots.numbers(index):
            found.setdefault(number, {})[machine.name] = whole(store, index, number)
    return dict(sorted(found.items()))


def lose(rig, *machines):
    """Their disks are new ones."""
    for machine in machines:
        rig.give_store(machine, type(rig.store(machine.name))())


def homes(rig, capability, *numbers):
    return [rig.home(capability, number) for number in numbers]


def test_a_new_slot_is_healthy(rig):
    health = check(rig, create(rig)).health()
    assert health.is_healthy
    assert health.summary == "Healthy"
    assert health.counts() == {
        "count-shares-needed": 3,
        "count-shares-expected": 10,
        "count-shares-good": 10,
        "count-good-share-hosts": 10,
        "count-happiness": 10,
        "count-recoverable-versions": 1,
        "count-unrecoverable-versions": 0,
        "count-wrong-shares": 0,
        "count-corrupt-shares": 0,
        "count-incompatible-shares": 0,
    }
    assert all(name.startswith("seq1-") for name in health.sharemap())


def test_of_a_slot_that_nobody_has_nothing_is_claimed(rig):
    capability = create(rig)
    lose(rig, *rig.servers)
    health = check(rig, capability).health()
    assert not health.is_healthy
    assert not health.is_recoverable
    assert health.counts()["count-shares-expected"] == 10
    assert mend(rig, capability).outcome.trouble == "nobody in reach has any share"


@SIZES
def test_lost_shares_come_back_byte_for_byte_in_their_homes(rig, size):
    capability = create(rig, size)
    before = shares(rig, capability)
    lose(rig, *homes(rig, capability, 0, 4, 9))
    mended = mend(rig, capability)
    assert mended.successful
    assert shares(rig, capability) == before
    assert rig.do(rig.slots[1].read(capability.read_only())).data == content(size)


def test_a_healthy_slot_costs_nothing_but_the_question(rig):
    capability = create(rig)
    findings = check(rig, capability)
    before = sum(len(machine.heard) for machine in rig.servers)
    assert not mend(rig, capability, findings).outcome.attempted
    assert sum(len(machine.heard) for machine in rig.servers) == before


def test_a_home_that_slept_through_a_write_is_brought_up(rig):
    capability = create(rig)
    sleeper = rig.home(capability, 5)
    sleeper.down = True
    rig.do(rig.slots[0].overwrite(capability, content(4000, 1)))
    rig.wait(60.0)
    sleeper.down = False
    found = check(rig, capability).health()
    assert (found.recoverable_versions, found.unrecoverable_versions) == (1, 1)
    assert found.counts()["count-wrong-shares"] == 1
    assert "some versions are unrecoverable" in found.summary
    assert mend(rig, capability).successful
    assert len(set(rig.carried(capability))) == 1
    assert rig.do(rig.slots[1].read(capability)).data == content(4000, 1)


def test_shares_of_homes_out_of_reach_are_copied_elsewhere_and_don_t_vote(rig):
    capability = create(rig)
    gone = homes(rig, capability, 0, 1)
    for machine in gone:
        machine.down = True
    mended = mend(rig, capability)
    assert mended.successful
    assert sorted(mended.outcome.made) == [0, 1]
    for number, machine in enumerate(gone):
        machine.down = False
        names = shares(rig, capability)[number]
        assert len(names) == 2
        assert len(set(names.values())) == 1
    for machine in homes(rig, capability, 5, 6, 7, 8, 9):
        machine.down = True  # five of ten homes make no quorum, whatever copies there are
    with pytest.raises(Exception, match="homes of the slot"):
        rig.do(rig.slots[1].overwrite(capability, b"new"), 1)


def test_copies_elsewhere_that_a_writer_does_not_know_of_are_brought_up(rig):
    capability = create(rig)
    gone = homes(rig, capability, 0, 1)
    for machine in gone:
        machine.down = True
    assert sorted(mend(rig, capability).outcome.made) == [0, 1]
    for machine in gone:
        machine.down = False
    rig.do(rig.slots[0].overwrite(capability, content(4000, 1)))
    rig.wait(60.0)
    assert not check(rig, capability).health().is_healthy, "two copies are of the version before"
    assert mend(rig, capability).successful
    assert check(rig, capability).health().is_healthy
    found = shares(rig, capability)
    assert [len(found[number]) for number in (0, 1)] == [2, 2]
    assert all(len(set(copies.values())) == 1 for copies in found.values())


def test_copies_elsewhere_let_a_slot_outlive_its_homes(rig):
    capability = create(rig)
    everybody = homes(rig, capability, *range(10))
    for machine in everybody[:7]:
        machine.down = True
    assert mend(rig, capability).outcome.made
    everybody[0].down = False
    for machine in everybody[7:8]:
        machine.down = True
    assert rig.do(rig.slots[1].read(capability)).data == content(5000)


def test_nothing_flips_when_servers_come_and_go(rig):
    capability = create(rig)
    for sleepers in ([0, 1], [2, 3], [0, 3], [8, 9]):
        machines = homes(rig, capability, *sleepers)
        for machine in machines:
            machine.down = True
        mend(rig, capability)
        for machine in machines:
            machine.down = False
        mend(rig, capability)
    findings = check(rig, capability)
    assert [version.sequence for version in findings.hearing.versions.values()] == [1]
    before = sum(machine.count(WriteSlot) for machine in rig.servers)
    assert not mend(rig, capability).outcome.attempted
    assert sum(machine.count(WriteSlot) for machine in rig.servers) == before


def test_rivals_are_left_to_who_can_sign(rig):
    capability = create(rig, 300)
    rig.all(
        rig.slots[0].overwrite(capability, content(300, 1)),
        rig.slots[1].overwrite(capability, content(300, 2)),
    )
    rig.wait(60.0)
    before = rig.carried(capability)
    mend(rig, capability)
    after = rig.carried(capability)
    assert all(new >= old for new, old in zip(after, before, strict=True))
    assert set(after) <= set(before)


# --- verifying ------------------------------------------------------------------------------------------------


@SIZES
def test_every_block_of_a_sound_slot_is_found_sound(rig, size):
    health = verify(rig, create(rig, size)).health()
    assert health.is_healthy
    assert not health.corrupt


def bend_block(index):
    """Every answer of this server has one damaged block."""

    def bend(message, answer):
        if not isinstance(message, ReadSlot) or isinstance(answer, Exception):
            return answer
        damaged = tuple(
            msgspec.structs.replace(
                share,
                blocks=tuple(
                    msgspec.structs.replace(block, data=bytes(len(block.data))) if block.segment == index else block
                    for block in share.blocks
                ),
            )
            for share in answer.shares
        )
        return msgspec.structs.replace(answer, shares=damaged)

    return bend


@pytest.mark.parametrize("segment", [0, 8, 16])
def test_a_damaged_block_is_found_and_a_sound_copy_made_elsewhere_if_its_server_sees_nothing(rig, segment):
    capability = create(rig)
    liar = rig.home(capability, 3)
    liar.bend = bend_block(segment)
    findings = verify(rig, capability)
    assert [(each.node, each.number) for each in findings.health().corrupt] == [(liar.name, 3)]
    mended = mend(rig, capability, findings)
    assert mended.successful
    assert mended.outcome.made[3] != liar.name


def test_a_server_that_gives_no_blocks_is_accused_and_the_verification_ends(rig):
    capability = create(rig)
    miser = rig.home(capability, 2)

    def bend(message, answer):
        if isinstance(message, ReadSlot) and message.room:
            return msgspec.structs.replace(
                answer, shares=tuple(msgspec.structs.replace(share, blocks=()) for share in answer.shares)
            )
        return answer

    miser.bend = bend
    health = verify(rig, capability).health()
    assert [(each.node, each.reason) for each in health.corrupt] == [(miser.name, "block 0 is not given")]


def test_with_too_few_shares_nothing_is_written(rig):
    capability = create(rig)
    lose(rig, *homes(rig, capability, *range(8)))
    mended = mend(rig, capability)
    assert not mended.successful
    assert str(NotEnoughShares(2, 3)) in mended.outcome.trouble
    assert sum(machine.count(WriteSlot) for machine in rig.servers) == 10


# --- shares larger than messages --------------------------------------------------------------------------------

SMALL_MESSAGES = Limits(message=16 * 1024)


@pytest.fixture
def large(rig):
    """A slot whose shares of 34 kB fit no small message, in blocks of 1 kB."""
    rig.terms = SlotTerms(3, 10, segment_size=3000, patience=TERMS.patience)
    return create(rig, 100_000)


def nothing_is_aside(rig):
    return not any(store.slots.parts.names() for store in rig.stores)


def test_shares_larger_than_messages_come_back_byte_for_byte(rig, large):
    before = shares(rig, large)
    lost = homes(rig, large, 0, 4, 9)
    lose(rig, *lost)
    for machine in rig.servers:
        machine.heard.clear()
    assert mend(rig, large, limits=SMALL_MESSAGES).successful
    assert shares(rig, large) == before
    assert all(machine.count(StageSlot) > 10 and machine.count(WriteSlot) == 1 for machine in lost)
    heaviest = max(len(msgspec.msgpack.encode(message)) for machine in rig.servers for message in machine.heard)
    assert heaviest <= SMALL_MESSAGES.message
    assert nothing_is_aside(rig)


def test_a_home_that_slept_through_a_change_of_a_large_slot_is_brought_up(rig, large):
    sleeper = rig.home(large, 5)
    sleeper.down = True
    rig.do(rig.slots[0].update(large, 50_000, b"changed"))
    rig.wait(60.0)
    sleeper.down = False
    assert mend(rig, large, limits=SMALL_MESSAGES).successful
    assert len(set(rig.carried(large))) == 1
    assert rig.do(rig.slots[1].read(large)).data == content(100_000)[:50_000] + b"changed" + content(100_000)[50_007:]


def test_a_repairer_holds_few_blocks_at_a_time(rig, large, monkeypatch):
    most = 0
    take = slotrepairing._Keeper.take

    async def taken(keeper, server, outcome):
        nonlocal most
        await take(keeper, server, outcome)
        most = max(most, sum(map(len, keeper.blocks.values())))

    monkeypatch.setattr(slotrepairing._Keeper, "take", taken)
    lose(rig, rig.home(large, 7))
    assert mend(rig, large, limits=SMALL_MESSAGES).successful
    assert 0 < most <= 3 * 4


def test_a_server_that_starts_again_meanwhile_has_its_share_the_next_time(rig, large):
    forgetful = rig.home(large, 2)
    lose(rig, forgetful)

    def bend(message, answer):
        if isinstance(message, StageSlot) and forgetful.count(StageSlot) == 3:
            lose(rig, forgetful)
        return answer

    forgetful.bend = bend
    mended = mend(rig, large, limits=SMALL_MESSAGES)
    assert not mended.successful
    assert "lacks segments" in mended.outcome.trouble
    forgetful.bend = None
    assert mend(rig, large, limits=SMALL_MESSAGES).successful
    assert nothing_is_aside(rig)


def test_a_server_that_fails_in_the_middle_costs_only_its_own_share(rig, large):
    two = homes(rig, large, 1, 6)
    lose(rig, *two)

    def bend(message, answer):
        return Refused("bad-request", "not today") if isinstance(message, StageSlot) else answer

    two[0].bend = bend
    mended = mend(rig, large, limits=SMALL_MESSAGES)
    assert list(mended.outcome.made) == [6]
    assert "not today" in mended.outcome.trouble
    assert two[0].count(StageSlot) == 1
