"""Checking, verifying and repairing immutable files: what is found, what is mended, and what is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tahoe.actors.checking import check_files
from tahoe.actors.keeping import KeepingDesk, KeepingTerms
from tahoe.actors.repairing import Findings, mend_file
from tahoe.actors.terms import Limits, ignore_progress
from tahoe.actors.verifying import verify_file
from tahoe.codec.share import MAX_HEADER_SIZE, parse_header
from tahoe.protocol import (
    AdviseCorrupt,
    HaveShares,
    Lease,
    ReadShare,
    ReadShares,
    ReplaceShare,
    ShareFacts,
    StoreShares,
    Write,
)
from tahoe.storage.content import ueb_hash_of
from tests.actors.rig import MASTER, Rig, content, terms

CASES = [
    case
    for case in json.loads((Path(__file__).parent.parent / "vectors" / "checker.json").read_text())["cases"]
    if case["kind"] == "chk"
]
SIZES = pytest.mark.parametrize(("size", "small"), [(5000, True), (5000, False), (3 * 4096 + 77, False), (1000, True)])

LEASE = Lease(b"r" * 32, b"c" * 32)


@pytest.fixture
def rig():
    return Rig()


def desk(rig, **options):
    limits = Limits(segment=4096, **options)
    settings = KeepingTerms(MASTER, limits, question=3.0, straggler=1.0)
    return KeepingDesk(rig.ctx, lambda: rig.roster, lambda: settings)


def put(rig, size=5000, *, small=True):
    return rig.put(content(size), terms(small=small, segment=4096)).capability


def check(rig, capability):
    (health,), holdings = rig.run(check_files(desk(rig), [capability.verifier()], rig.roster))
    return health, Findings(holdings)


def verify(rig, capability):
    found = rig.run(verify_file(desk(rig), capability.verifier(), rig.roster))
    return found.health, Findings(found.holdings, found.flaws)


def mend(rig, capability, findings, *, small=True):
    story = mend_file(desk(rig, small=2**20 if small else 0), capability.verifier(), findings, ignore_progress)
    return rig.run(story)


def shares(rig, capability):
    """Every share there is, byte for byte."""
    index = capability.storage_index
    found = {}
    for store in rig.stores:
        for number, facts in store.shares(index).items():
            found.setdefault(number, []).append(store.read(index, number, 0, facts.size))
    return found


def delete(rig, capability, *numbers):
    for store in rig.stores:
        for number in numbers:
            if number in store.shares(capability.storage_index):
                store.lose(capability.storage_index, number)


def flip(rig, capability, number, place=60):
    """Damage one byte of block data where it lies."""
    store = store_of(rig, capability, number)
    share = store._shares[capability.storage_index][number]
    share.content = share.content[:place] + bytes([share.content[place] ^ 1]) + share.content[place + 1 :]
    return rig.servers[rig.stores.index(store)]


def fresh_facts(store, capability, number):
    """What a server says after it has read the share anew."""
    whole = store._shares[capability.storage_index][number].content
    return ShareFacts(number, len(whole), ueb_hash_of(whole))


def store_of(rig, capability, number):
    return next(store for store in rig.stores if number in store.shares(capability.storage_index))


# --- the rival's figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_the_figures_are_those_of_the_reference(rig, case):
    capability = put(rig)
    last = store_of(rig, capability, 9)
    for number in case["copied_onto_server_of_share_9"]:
        last.store(capability.storage_index, {number: shares(rig, capability)[number][0]}, LEASE, 0.0)
    delete(rig, capability, *case["deleted"])
    for number in case["corrupted"]:
        flip(rig, capability, number)
    health, _ = (verify if case["verify"] else check)(rig, capability)
    assert (health.is_healthy, health.is_recoverable) == (case["healthy"], case["recoverable"])
    assert health.counts() == case["counts"]
    assert health.summary == "Healthy" if case["healthy"] else f"Not Healthy: {len(health.good)} shares (enc 3-of-10)"


# --- checking ------------------------------------------------------------------------------------------------


def test_a_hundred_files_are_checked_by_one_message_to_each_server(rig):
    capabilities = [rig.put(content(500, seed)).capability.verifier() for seed in range(100)]
    delete(rig, capabilities[7], 0, 1)
    before = sum(machine.count(HaveShares) for machine in rig.servers)
    found, _ = rig.run(check_files(desk(rig), capabilities, rig.roster))
    assert sum(machine.count(HaveShares) for machine in rig.servers) - before == 10
    assert [number for number, health in enumerate(found) if not health.is_healthy] == [7]
    assert found[7].missing == (0, 1)


def test_a_silent_server_is_named_and_its_shares_are_missing(rig):
    capability = put(rig)
    rig.servers[4].down = True
    health, _ = check(rig, capability)
    assert len(health.good) == 9
    assert dict(health.answers.silent) == {rig.servers[4].name: "did not answer in time"}


def test_a_share_of_another_file_under_the_same_index_counts_for_nothing(rig):
    capability = put(rig)
    other = rig.put(content(5000, 1), terms(convergence=b"another", segment=4096)).capability
    impostor = shares(rig, other)[3][0]
    delete(rig, capability, 3)
    rig.stores[0].store(capability.storage_index, {3: impostor}, LEASE, 0.0)
    health, _ = check(rig, capability)
    assert health.missing == (3,)


# --- verifying -----------------------------------------------------------------------------------------------


@SIZES
def test_a_sound_file_is_found_sound_to_the_last_byte(rig, size, small):
    capability = put(rig, size, small=small)
    health, findings = verify(rig, capability)
    assert health.is_healthy
    assert not findings.flaws


@pytest.mark.parametrize("place", ["header", "block", "last block", "crypttext", "block tree", "share hashes", "UEB"])
def test_one_flipped_bit_is_found_wherever_a_reader_may_look(rig, place):
    capability = put(rig, 3 * 4096 + 77, small=False)
    whole = shares(rig, capability)[2][0]
    offsets = parse_header(whole[:MAX_HEADER_SIZE])
    where = {
        "header": 15,
        "block": offsets.data + 5,
        "last block": offsets.plaintext_hashes - 1,
        "crypttext": offsets.crypttext_hashes + 40,
        "block tree": offsets.block_hashes + 70,
        "share hashes": offsets.share_hashes + 5,
        "UEB": offsets.uri_extension + 30,
    }
    machine = flip(rig, capability, 2, where[place])
    store = store_of(rig, capability, 2)
    store._shares[capability.storage_index][2].facts = fresh_facts(store, capability, 2)
    health, _ = verify(rig, capability)
    assert health.missing == (2,)
    assert [(each.node, each.number) for each in health.corrupt] == [(machine.name, 2)]


def test_a_block_that_no_message_carries_whole_is_verified_in_pieces(rig):
    capability = rig.put(content(60_000), terms(small=False, segment=2**20)).capability
    settings = KeepingTerms(MASTER, Limits(message=4096 + 3000))
    health = rig.run(
        verify_file(KeepingDesk(rig.ctx, lambda: rig.roster, lambda: settings), capability.verifier(), rig.roster)
    ).health
    assert health.is_healthy
    assert sum(machine.count(ReadShare) for machine in rig.servers) > 60


def test_a_server_that_falls_silent_while_it_is_verified_is_not_called_corrupt(rig):
    capability = put(rig, 3 * 4096, small=False)
    rig.servers[3].bend = lambda message, answer: None if isinstance(message, ReadShare) else answer
    health, findings = verify(rig, capability)
    assert not findings.flaws
    assert len(health.good) == 9
    assert rig.servers[3].name in health.answers.silent


# --- repairing -----------------------------------------------------------------------------------------------


@SIZES
@pytest.mark.parametrize("numbers", [(0,), (9,), (0, 1, 2), (1, 3, 5, 7, 9), (0, 1, 2, 3, 4, 5, 6)])
def test_what_is_missing_comes_back_byte_for_byte(rig, size, small, numbers):
    capability = put(rig, size, small=small)
    before = shares(rig, capability)
    delete(rig, capability, *numbers)
    mended = mend(rig, capability, check(rig, capability)[1], small=small)
    assert mended.successful
    assert shares(rig, capability) == before
    assert sorted(mended.outcome.made) == list(numbers)
    assert rig.get(capability) == content(size)
    assert rig.no_upload_is_left()


def test_a_healthy_file_costs_nothing_but_the_question(rig):
    capability = put(rig)
    findings = check(rig, capability)[1]
    before = sum(len(machine.heard) for machine in rig.servers)
    mended = mend(rig, capability, findings)
    assert not mended.outcome.attempted
    assert not mended.successful
    assert sum(len(machine.heard) for machine in rig.servers) == before


def test_only_what_is_missing_is_sent(rig):
    capability = put(rig, 3 * 4096, small=False)
    delete(rig, capability, 4)
    size = len(shares(rig, capability)[0][0])
    for machine in rig.servers:
        machine.heard.clear()
    mended = mend(rig, capability, check(rig, capability)[1], small=False)
    written = sum(len(each.data) for machine in rig.servers for each in machine.heard if isinstance(each, Write))
    assert written == size == mended.outcome.pushed
    read = sum(each.length for machine in rig.servers for each in machine.heard if isinstance(each, ReadShares))
    assert read <= 3 * capability.size + 3 * 2**20  # of the file, from k servers; the opening question is a guess


def test_shares_go_to_servers_that_have_none_and_the_rest_stays_where_it_is(rig):
    rig = Rig(servers=14)
    capability = put(rig)
    gone = [rig.servers[rig.stores.index(store_of(rig, capability, number))] for number in (2, 5)]
    before = rig.holdings(capability.storage_index)
    for machine in gone:
        machine.down = True
    mended = mend(rig, capability, check(rig, capability)[1])
    assert mended.successful
    after = rig.holdings(capability.storage_index)
    assert all(after[number] == before[number] for number in range(10) if number not in (2, 5))
    new = [mended.outcome.made[number] for number in (2, 5)]
    assert len(set(new) | {nodes[0] for number, nodes in before.items() if number not in (2, 5)}) == 10


def test_a_file_with_too_few_shares_is_left_as_it_is_and_the_reason_told(rig):
    capability = put(rig)
    delete(rig, capability, *range(8))
    before = shares(rig, capability)
    mended = mend(rig, capability, check(rig, capability)[1])
    assert mended.outcome.attempted
    assert not mended.successful
    assert "3 are needed" in mended.outcome.trouble
    assert shares(rig, capability) == before


def test_a_corrupt_share_is_replaced_where_it_is_if_its_server_finds_it_corrupt(rig):
    capability = put(rig)
    before = shares(rig, capability)
    machine = flip(rig, capability, 6)
    mended = mend(rig, capability, verify(rig, capability)[1])
    assert mended.successful
    assert mended.outcome.replaced == ((machine.name, 6),)
    assert shares(rig, capability) == before


def test_a_server_that_denies_its_corruption_keeps_it_and_the_share_goes_elsewhere(rig):
    rig = Rig(servers=11)
    capability = put(rig)
    good = shares(rig, capability)[6][0]
    machine = flip(rig, capability, 6)
    machine.bend = lambda message, answer: (
        msgspec.structs.replace(answer, found_corrupt=False) if isinstance(message, AdviseCorrupt) else answer
    )
    mended = mend(rig, capability, verify(rig, capability)[1])
    assert mended.outcome.made.keys() == {6}
    assert mended.outcome.made[6] != machine.name
    assert machine.count(ReplaceShare) == 0
    assert good in shares(rig, capability)[6]


def test_a_self_consistent_impostor_is_left_alone_and_the_share_goes_elsewhere(rig):
    capability = put(rig)
    other = rig.put(content(5000, 1), terms(convergence=b"another", segment=4096)).capability
    impostor, good = shares(rig, other)[3][0], shares(rig, capability)[3][0]
    machine = rig.servers[rig.stores.index(store_of(rig, capability, 3))]
    delete(rig, capability, 3)
    rig.store(machine.name).store(capability.storage_index, {3: impostor}, LEASE, 0.0)
    mended = mend(rig, capability, check(rig, capability)[1])
    assert mended.successful
    assert mended.outcome.made[3] != machine.name
    assert sorted(shares(rig, capability)[3]) == sorted([impostor, good])


def test_a_large_corrupt_share_goes_elsewhere(rig):
    rig = Rig(servers=11)
    capability = put(rig, 3 * 4096, small=False)
    machine = flip(rig, capability, 1)
    mended = mend(rig, capability, verify(rig, capability)[1], small=False)
    assert mended.successful
    assert mended.outcome.made[1] != machine.name


def test_a_taker_that_dies_half_way_costs_its_share_and_nothing_else(rig):
    rig = Rig(servers=12)
    capability = put(rig, 5 * 4096, small=False)
    delete(rig, capability, 0, 1)

    def die(message, answer):
        if isinstance(message, Write) and message.offset > 4000:
            victim.down = True
        return answer

    findings = check(rig, capability)[1]
    victim = next(machine for machine in rig.servers if not rig.store(machine.name).shares(capability.storage_index))
    victim.bend = die
    mended = mend(rig, capability, findings, small=False)
    assert mended.outcome.made or not mended.after.is_healthy
    again = mend(rig, capability, check(rig, capability)[1], small=False)
    assert again.after.is_healthy
    assert rig.get(capability) == content(5 * 4096)


def test_leases_of_the_repairer_are_on_what_it_made(rig):
    capability = put(rig)
    delete(rig, capability, 0)
    mended = mend(rig, capability, check(rig, capability)[1])
    store = rig.store(mended.outcome.made[0])
    assert store.leases(capability.storage_index, 0)
    assert sum(machine.count(StoreShares) for machine in rig.servers) == 11
