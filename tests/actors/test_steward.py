"""A storage server knows whose leases are and what time it is, and lets go what nobody leases, no sooner than it must."""

from __future__ import annotations

from hashlib import sha256

import pytest

from tahoe.actors.steward import Stewardship
from tahoe.actors.storage import StorageServer, Upkeep
from tahoe.errors import NoSpace, Refused
from tahoe.policy.lease import DAY, CollectionTerms
from tahoe.policy.quota import ROOTS, Allowances, Member
from tahoe.protocol import (
    AddLeases,
    Address,
    Allocate,
    CancelLeases,
    LeaseWanted,
    ShareToStore,
    StoreShares,
    UsageOf,
)
from tahoe.session.delegation import Delegation, sign_delegation
from tahoe.session.identity import GridKey, Identity
from tahoe.storage.faulty import Fails, FaultyStore
from tahoe.storage.memory import MemoryStore
from tahoe.storage.store import CONTAINER_ROOM, StoreOptions
from tests.actors.rig import Rig
from tests.storage.samples import index, lease, share
from tests.storage.slotsamples import Writer, offer, request

OWNER = Identity.from_seed(sha256(b"owner").digest())
GRID_KEY = GridKey.from_seed(sha256(b"grid").digest())
TERMS = CollectionTerms(grace=60 * DAY, window=7 * DAY, headroom=0.0)
SIZE = len(share(1, 0)) + CONTAINER_ROOM
SECRET = b"u" * 32


class House:
    """One server with a steward at work, asked by one client."""

    def __init__(self, options: StoreOptions = StoreOptions(), clock: float = 0.0) -> None:  # noqa: B008
        self.rig = Rig(servers=1)
        (self.machine,) = self.rig.servers
        self.clock = clock
        self.machine.wall_time = lambda: 1_800_000_000.0 + self.rig.world.now() + self.clock
        self.store = MemoryStore(options)
        self.begin()

    def begin(self) -> None:
        """A new incarnation."""
        upkeep, terms = Upkeep(idle_upload=10 * DAY, sweep_every=3600.0, scrub_every=0), self.terms
        self.server = StorageServer(self.machine.context, self.store, self.store.slots, upkeep, terms)
        self.machine.actor = self.server
        self.rig.run(self.server.start())

    @property
    def terms(self) -> Stewardship:
        return Stewardship(GRID_KEY.public_key, TERMS, collect_every=DAY)

    def ask(self, message, sender="client"):
        self.rig.client.name = sender
        to = Address(self.machine.name, self.server.role)
        return self.rig.run(self.rig.ctx.ask(to, message, timeout=50.0))

    def put(self, number: int, leased: int = 0, sender="client"):
        shares = (ShareToStore(0, share(1, 0)),)
        return self.ask(StoreShares(index(number), SECRET, lease(leased), shares), sender)

    def holds(self, number: int) -> bool:
        return bool(self.store.shares(index(number)))

    def renew(self, number: int, leased: int = 0, **fields):
        return self.ask(AddLeases((LeaseWanted(index(number), lease(leased)),), **fields))

    def pass_days(self, days: float) -> None:
        self.rig.wait(days * DAY)


# --- accounts -----------------------------------------------------------------------------------------------------


def test_what_is_stored_is_kept_for_who_asked():
    house = House()
    house.put(0, sender="v0-me")
    house.put(1, leased=1, sender="v0-you")
    (mine,) = house.ask(UsageOf(), sender="v0-me").accounts
    assert (mine.account, mine.bytes, mine.shares, mine.quota, mine.pooled) == ("v0-me", SIZE, 1, -1, True)


def test_slots_and_uploads_under_way_count_too():
    house, writer = House(), Writer()
    first = writer.write(b"one")
    house.ask(request(writer, first, offer(first, 0)), sender="v0-me")
    slot = house.store.books().usage()["v0-me"].bytes
    house.ask(Allocate(index(3), SECRET, lease(), (0, 1), 1000), sender="v0-me")
    assert house.store.books().usage()["v0-me"].bytes == slot + 2 * (1000 + CONTAINER_ROOM)


def test_what_everybody_keeps_is_told_to_the_servers_own_node_only():
    house = House()
    house.put(0, sender="v0-me")
    house.store.books().allow(Allowances({"v0-friend": Member(10**9)}))
    with pytest.raises(Refused, match="own node"):
        house.ask(UsageOf(everybody=True), sender="v0-me")
    told = house.ask(UsageOf(everybody=True), sender=house.machine.name)
    assert [(each.account, each.bytes) for each in told.accounts] == [("v0-me", SIZE), ("v0-friend", 0)]


def test_an_upload_over_quota_is_refused_with_how_much_and_a_renewal_is_not():
    house = House()
    house.store.books().allow(Allowances(pool=SIZE + 100))
    house.put(0)
    with pytest.raises(Refused, match=rf"keeps {SIZE} of {SIZE + 100} bytes here; this is {SIZE - 100} bytes too much"):
        house.put(1)
    house.store.books().allow(Allowances(pool=10))
    assert house.renew(0).storage_indexes == (index(0),)


def test_a_lease_that_is_new_to_an_account_over_quota_is_named_and_the_others_are_added():
    house = House()
    house.store.books().allow(Allowances({"v0-friend": Member()}, pool=SIZE))
    house.put(0)
    house.put(1, leased=1, sender="v0-friend")
    wanted = tuple(LeaseWanted(index(number), lease(0)) for number in (0, 1, 2))
    answer = house.ask(AddLeases(wanted))
    assert (answer.storage_indexes, answer.refused, answer.over_quota) == ((index(0),), (index(1),), SIZE)
    assert answer.seconds == 31 * DAY


def test_the_own_node_of_a_server_keeps_what_it_likes():
    house = House()
    house.store.books().allow(Allowances(pool=1))
    house.put(0, sender=house.machine.name)
    assert house.holds(0)


def test_what_is_leased_no_more_is_charged_to_nobody_and_to_its_owner_again_once_it_is_renewed():
    house = House()
    house.put(0, sender="v0-me")
    house.put(1, leased=1, sender="v0-you")
    house.pass_days(20)
    house.ask(AddLeases((LeaseWanted(index(1), lease(1)),)), sender="v0-you")
    house.pass_days(14)
    assert house.holds(0)
    usage = house.store.books().usage()
    assert "v0-me" not in usage
    assert usage["v0-you"].shares == 1
    house.ask(AddLeases((LeaseWanted(index(0), lease(0)),)), sender="v0-me")
    assert house.store.books().usage()["v0-me"].shares == 1


def test_who_leases_a_share_no_more_is_not_charged_for_it_while_another_does():
    house = House()
    house.put(0, sender="v0-me")
    for _ in range(4):
        house.pass_days(10)
        house.ask(AddLeases((LeaseWanted(index(0), lease(1)),)), sender="v0-you")
    assert list(house.store.books().usage()) == ["v0-you"]


# --- on behalf of others --------------------------------------------------------------------------------------------


def delegation(expires: float = 2e9, delegate="v0-caretaker", signer=OWNER, account=OWNER.node) -> bytes:
    return sign_delegation(signer, Delegation(account, delegate, int(expires)))


def test_a_caretaker_leases_on_behalf_of_an_account_and_cancels_only_what_it_made():
    house = House()
    house.put(0, leased=1, sender=OWNER.node)
    wanted = (LeaseWanted(index(0), lease(9)),)
    house.ask(AddLeases(wanted, delegation()), sender="v0-caretaker")
    usage = house.store.books().usage()
    assert list(usage) == [OWNER.node]
    assert house.ask(CancelLeases(wanted), sender="v0-caretaker").count == 1
    assert len(house.store.leases(index(0), 0)) == 1
    (told,) = house.ask(UsageOf(delegation()), sender="v0-caretaker").accounts
    assert told.account == OWNER.node


def test_the_grid_key_speaks_for_the_named_roots():
    house = House()
    house.put(0)
    house.store.books().allow(Allowances(pool=1))
    given = delegation(signer=GRID_KEY, account=ROOTS)
    house.ask(AddLeases((LeaseWanted(index(0), lease(9)),), given), sender="v0-caretaker")
    assert house.store.books().usage()[ROOTS].shares == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (delegation(expires=1.7e9), "run out"),
        (delegation(delegate="v0-other"), "somebody else"),
        (delegation()[:-1] + b"x", "signature"),
        (delegation(signer=GridKey.from_seed(bytes(32)), account=ROOTS), "signature"),
        (b"junk", "parse"),
        (bytes(2000), "2000 bytes"),
    ],
)
def test_a_delegation_that_does_not_hold_is_refused(given, words):
    house = House()
    house.put(0)
    with pytest.raises(Refused, match=f"bad-delegation.*{words}"):
        house.ask(AddLeases((LeaseWanted(index(0), lease(9)),), given), sender="v0-caretaker")


def test_nobody_delegates_for_somebody_else():
    with pytest.raises(ValueError, match="for itself"):
        delegation(account="v0-other")


# --- collecting -----------------------------------------------------------------------------------------------------


def test_with_room_to_spare_an_expired_share_stays_for_its_grace_and_then_its_time_in_the_trash():
    house = House()
    house.put(0)
    house.pass_days(31 + 58)
    assert house.holds(0)
    house.pass_days(5)
    assert not house.holds(0)
    assert house.store.books().index.trash().shares == 1
    house.pass_days(8)
    assert house.store.books().index.trash().shares == 0


def test_a_renewal_brings_back_what_is_in_the_trash():
    house = House()
    house.put(0)
    house.pass_days(31 + 62)
    assert not house.holds(0)
    assert house.renew(0).storage_indexes == (index(0),)
    house.pass_days(30)
    assert house.holds(0)


def test_when_room_is_wanted_those_go_first_whose_leases_ended_first():
    house = House(StoreOptions(sizelimit=3 * SIZE))
    for number in (2, 0, 1):
        house.put(number)
        house.pass_days(1)
    house.pass_days(33)
    house.renew(1)
    house.put(7)
    assert [house.holds(number) for number in (2, 0, 1, 7)] == [False, True, True, True]
    house.put(8)
    assert [house.holds(number) for number in (2, 0, 1, 7, 8)] == [False, False, True, True, True]
    with pytest.raises(Refused, match=NoSpace.__name__):
        house.put(9)


def test_a_share_whose_last_lease_is_cancelled_may_go_and_need_not():
    house = House(StoreOptions(sizelimit=2 * SIZE))
    house.pass_days(40)
    house.put(0)
    house.put(1, leased=1)
    house.ask(CancelLeases((LeaseWanted(index(1), lease(1)),)))
    house.pass_days(20)
    assert house.holds(1)
    house.put(2)
    assert [house.holds(number) for number in (0, 1, 2)] == [True, False, True]


def test_a_disk_that_fails_for_a_while_stops_nothing_for_good():
    house = House()
    house.put(0)
    house.server.store = FaultyStore(house.store, (Fails(verbs=("discard",), times=4),))
    house.pass_days(31 + 64)
    assert house.holds(0)
    house.pass_days(4)
    assert not house.holds(0)


def test_slots_go_as_files_do_and_come_back_by_a_write():
    house, writer = House(), Writer()
    first = writer.write(b"one")
    house.ask(request(writer, first, offer(first, 0)))
    house.pass_days(31 + 62)
    assert house.store.slots.numbers(writer.index) == ()
    second = writer.write(b"two", first)
    house.ask(request(writer, second, offer(second, 0, first)))
    assert house.store.slots.head(writer.index, 0).version.sequence == 2


# --- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [365 * DAY, -365 * DAY])
def test_a_clock_that_jumps_collects_nothing_early_nor_keeps_anything_longer(jump):
    house = House()
    house.put(0)
    house.pass_days(5)
    house.clock += jump
    house.pass_days(31 + 50)
    house.begin()
    assert house.holds(0)
    house.pass_days(10)
    assert not house.holds(0)


def test_a_server_that_was_off_for_a_year_gives_everybody_the_time_that_was_left():
    house = House()
    house.put(0)
    house.pass_days(20)
    house.clock += 365 * DAY
    house.begin()
    house.pass_days(60)
    assert house.holds(0)


def test_clients_who_renew_let_a_server_that_lags_catch_up_at_twice_the_pace():
    house = House()
    house.put(0)
    house.pass_days(1)
    before = house.server.steward.now()
    for sender in ("v0-one", "v0-two", "v0-three"):
        clock = int(house.server.steward.now() + 300 * DAY)
        house.ask(AddLeases((LeaseWanted(index(0), lease()),), time=clock), sender=sender)
    house.pass_days(10)
    assert 19 * DAY < house.server.steward.now() - before < 21 * DAY


def test_an_upload_under_way_is_not_forgotten_by_a_jump():
    house = House()
    house.ask(Allocate(index(0), SECRET, lease(), (0,), 1000))
    house.clock += 365 * DAY
    house.pass_days(1)
    assert len(house.store._uploads) == 1
    house.pass_days(11)
    assert not house.store._uploads
