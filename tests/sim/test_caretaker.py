"""The caretaker in simulated weeks: what it mends unasked, what it leaves alone, whom it finds out, and what it says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import msgspec
import pytest

from tahoe.actors.carelist import Record
from tahoe.actors.carereport import Light
from tahoe.actors.caretaker import CareTerms
from tahoe.actors.children import NewChild
from tahoe.actors.storage import Upkeep
from tahoe.actors.terms import Limits
from tahoe.codec.capability import parse
from tahoe.errors import BadCapability, NoSuchRoot, NotEnoughShares, TahoeError
from tahoe.policy.allowance import Budget
from tahoe.policy.care import DAY, CareRules
from tahoe.policy.repair import AT_ONCE
from tahoe.protocol import CARETAKER, CLIENT, MEMBER, STORAGE
from tahoe.session.delegation import Delegation, delegation_text, sign_delegation
from tahoe.session.identity import public_key_of
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid
from tahoe.sim.phantom import Phantom
from tahoe.sim.wire import Trouble

EAGER = CareRules(repair=AT_ONCE)
TERMS = CareTerms(EAGER, tick=6 * 3600.0, own_roots=False)


def grid_of(fidelity="phantom", servers=15, care=TERMS, clients=1, **options):
    settings = GridOptions(
        fidelity=fidelity,
        limits=Limits(segment=30_000),
        upkeep=Upkeep(0, 0, 0),
        introducers=0,
        acquainted=True,
        care=care,
        **options,
    )
    return SimGrid(3, servers=servers, clients=clients, options=settings)


def caretaker(grid, client=0):
    return grid.clients[client].actor(CARETAKER)


def content(fidelity, number, size=20_000):
    return Phantom(size, f"file {number}") if fidelity == "phantom" else bytes([number % 251]) * size


def plant(grid, files=30, fidelity="phantom"):
    """A directory with files that is on the care list; its cap and the files'."""
    client = grid.clients[0].actor(CLIENT)
    caps = [parse(grid.upload(content(fidelity, number))) for number in range(files)]
    root = grid.run(client.directories.create({f"{number}": NewChild(cap) for number, cap in enumerate(caps)}))
    grid.run(caretaker(grid).add("home", str(root)))
    return root, caps


def present(grid, cap):
    """Distinct shares of a file on servers that run."""
    running = [name for name, node in grid.fleet.nodes.items() if node.incarnation is not None]
    index = cap.storage_index
    return {number for name, disk in grid.fleet.disks.items() if name in running for number in disk.store.shares(index)}


def give_notice(grid, *leavers, client=0):
    """Let a client know that servers are about to leave."""
    member = grid.clients[client].actor(MEMBER)
    nodes = [grid.node(name).name for name in leavers]
    member._servers = tuple(replace(server, leaving=server.node in nodes) for server in member.servers())


def homes_of(grid, directory, client=0):
    """Nicknames of the homes of a directory, as a client knows them who has just read it."""
    user = grid.clients[client].actor(CLIENT)
    grid.run(user.directories.list(directory), client)
    version = grid.run(user.slots.newest(directory.file.storage_index), client)
    return [grid_name(grid, home) for home in version.homes]


def grid_name(grid, home):
    """The nickname of a server by its public key."""
    return next(name for name, node in grid.fleet.nodes.items() if public_key_of(node.name) == home)


def days(grid, count):
    grid.run(count * DAY)


def servers_with(grid, cap, count):
    index = cap.storage_index
    return [name for name, disk in grid.fleet.disks.items() if disk.store.shares(index)][:count]


def lose(grid, cap, names):
    """These servers lose what they have of a file."""
    for name in names:
        for number in grid.fleet.disks[name].store.shares(cap.storage_index):
            grid.fleet.disks[name].platter._store.lose(cap.storage_index, number)


def test_files_below_a_directory_that_nobody_can_read_are_looked_after_for_ever(monkeypatch):
    grid = grid_of(care=replace(TERMS, rules=CareRules(check_every=30 * DAY), tick=5 * DAY))
    _, caps = plant(grid, 3)
    days(grid, 40)

    async def fail(directory):
        raise NotEnoughShares(0, 3)

    monkeypatch.setattr(grid.clients[0].actor(CLIENT).directories, "list", fail)
    checked = caretaker(grid).tidings.counts["checked"]
    days(grid, 200)
    assert caretaker(grid).care.roots["home"].trouble
    assert {cap.storage_index for cap in caps} <= set(caretaker(grid).care.records)
    assert caretaker(grid).tidings.counts["checked"] >= checked + 6 * len(caps)


def make_unreadable(monkeypatch, grid, *lost):
    """These directories can't be read any more."""
    directories = grid.clients[0].actor(CLIENT).directories
    read = directories.list

    async def fail(directory):
        if directory in lost:
            raise NotEnoughShares(0, 3)
        return await read(directory)

    monkeypatch.setattr(directories, "list", fail)


def test_one_lost_directory_keeps_what_it_linked_and_nothing_else_from_being_forgotten(monkeypatch):
    grid = grid_of(care=replace(TERMS, rules=CareRules(check_every=30 * DAY), tick=5 * DAY))
    directories = grid.clients[0].actor(CLIENT).directories
    names = ("only there", "deeper", "there and elsewhere", "elsewhere", "new")
    caps = {name: parse(grid.upload(content("phantom", number))) for number, name in enumerate(names)}
    inner = grid.run(directories.create({"deeper": NewChild(caps["deeper"])}))
    linked = {name: NewChild(caps[name]) for name in ("only there", "there and elsewhere")}
    lost = grid.run(directories.create({"inner": NewChild(inner), **linked}))
    elsewhere = {name: NewChild(caps[name]) for name in ("there and elsewhere", "elsewhere")}
    other = grid.run(directories.create(elsewhere))
    root = grid.run(directories.create({"a lost one": NewChild(lost), "other": NewChild(other)}))
    grid.run(caretaker(grid).add("home", str(root)))
    days(grid, 40)
    make_unreadable(monkeypatch, grid, lost)
    grid.run(directories.set_children(other, {"new": NewChild(caps["new"])}))
    days(grid, 40)
    for name in (*elsewhere, "new"):
        grid.run(directories.unlink(other, name))
    days(grid, 180)
    known = caretaker(grid).care.records
    assert caretaker(grid).care.roots["home"].trouble
    forgotten = {name for name, cap in caps.items() if cap.storage_index not in known}
    assert forgotten == {"elsewhere", "new"}
    assert inner.file.storage_index in known
    grid.run(directories.unlink(root, "a lost one"))
    days(grid, 180)
    assert set(caretaker(grid).care.records) == {root.file.storage_index, other.file.storage_index}


def test_records_of_an_older_release_are_read_and_nothing_of_them_is_forgotten_while_a_directory_can_t_be_read(
    monkeypatch,
):
    grid = grid_of(care=replace(TERMS, rules=CareRules(check_every=30 * DAY), tick=5 * DAY))
    root, caps = plant(grid, 3)
    lost = grid.run(grid.clients[0].actor(CLIENT).directories.create())
    grid.run(grid.clients[0].actor(CLIENT).directories.set_children(root, {"lost": NewChild(lost)}))
    days(grid, 40)
    care = caretaker(grid).care
    old = [tuple(getattr(record, name) for name in Record.__struct_fields__[:15]) for record in care.records.values()]
    encoded = msgspec.msgpack.encode(old)
    care.records = {each.target.storage_index: each for each in msgspec.msgpack.decode(encoded, type=list[Record])}
    assert not any(record.path or record.parents for record in care.records.values())
    make_unreadable(monkeypatch, grid, lost)
    grid.run(grid.clients[0].actor(CLIENT).directories.unlink(root, "0"))
    days(grid, 180)
    assert {cap.storage_index for cap in caps} <= set(care.records)
    assert care.records[caps[1].storage_index].path == "1"


def test_it_is_remembered_where_an_object_is_and_no_manifest_tells():
    grid = grid_of(clients=2)
    client = grid.clients[0].actor(CLIENT)
    cap = parse(grid.upload(content("phantom", 1)))
    deep = grid.run(client.directories.create({"a secret name": NewChild(cap)}))
    root = grid.run(client.directories.create({"folder": NewChild(deep)}))
    grid.run(caretaker(grid).add("home", str(root)))
    days(grid, 2)
    grid.crash("client-0")
    grid.restart("client-0")
    grid.run(60.0)
    records = caretaker(grid).care.records
    assert records[cap.storage_index].path == "folder/a secret name"
    assert records[root.file.storage_index].path == ""
    manifest = grid.run(caretaker(grid).publish("home"))
    assert b"secret" not in grid.run(grid.clients[0].actor(CLIENT).slots.read(manifest)).data
    grid.run(caretaker(grid, 1).add("a friend's", str(manifest), manifest=True), 1)
    grid.run(caretaker(grid, 1).round(everything=True), 1)
    assert caretaker(grid, 1).care.records[cap.storage_index].path == ""


def test_a_file_that_is_linked_no_more_is_forgotten_in_time():
    grid = grid_of(care=replace(TERMS, rules=CareRules(check_every=30 * DAY), tick=5 * DAY))
    root, (first, *others) = plant(grid, 3)
    days(grid, 40)
    grid.run(grid.clients[0].actor(CLIENT).directories.unlink(root, "0"))
    days(grid, 180)
    known = caretaker(grid).care.records
    assert first.storage_index not in known
    assert all(cap.storage_index in known for cap in others)


@pytest.mark.parametrize("fidelity", ["wire", "message", "phantom"])
def test_files_of_dead_servers_are_made_whole_unasked(fidelity):
    grid = grid_of(fidelity)
    _, caps = plant(grid, 8, fidelity)
    days(grid, 1)
    for name in ("server-0", "server-1", "server-2"):
        grid.crash(name)
    days(grid, 15)
    assert all(present(grid, cap) == set(range(10)) for cap in caps)
    assert caretaker(grid).report().state is Light.GREEN
    assert grid.download(str(caps[0])) == content(fidelity, 0)


def test_a_night_without_a_third_of_the_servers_costs_no_repair():
    grid = grid_of()
    plant(grid)
    days(grid, 8)
    asleep = [f"server-{number}" for number in range(5)]
    for _ in range(4):
        grid.crash(*asleep)
        grid.run(12 * 3600.0)
        grid.restart(*asleep)
        days(grid, 6)
    tidings = caretaker(grid).tidings
    assert tidings.counts["checked"] > 100
    assert tidings.counts["repairs"] == 0


def test_who_has_been_away_for_longer_than_the_grace_is_made_up_for():
    grid = grid_of()
    _, caps = plant(grid)
    days(grid, 8)
    grid.crash("server-4")
    days(grid, 13)
    assert all(len(present(grid, cap)) == 10 for cap in caps)


def test_a_server_that_is_said_to_be_gone_is_made_up_for_at_once():
    grid = grid_of()
    _, caps = plant(grid)
    days(grid, 2)
    grid.crash("server-4")
    grid.run(caretaker(grid).server_gone(grid.node("server-4").name))
    grid.run(caretaker(grid).round(everything=True))
    assert all(len(present(grid, cap)) == 10 for cap in caps)


def test_a_liar_is_found_out_by_challenges_and_his_shares_are_made_elsewhere():
    grid = grid_of(care=replace(TERMS, rules=replace(EAGER, challenges=100)))
    _, caps = plant(grid, 60)
    days(grid, 1)
    liar = "server-3"
    had = [cap for cap in caps if grid.fleet.disks[liar].store.shares(cap.storage_index)]
    assert had
    facts = {cap.storage_index: grid.fleet.disks[liar].store.shares(cap.storage_index) for cap in caps}
    store = grid.fleet.disks[liar].store
    truth = store.shares
    for cap in had:
        for number in list(truth(cap.storage_index)):
            grid.fleet.disks[liar].platter._store.lose(cap.storage_index, number)
    store.shares = lambda index: facts.get(index) or truth(index)
    days(grid, 40)
    assert grid.node(liar).name in caretaker(grid).care.trust.distrusted
    honest = {name: disk for name, disk in grid.fleet.disks.items() if name != liar}
    for cap in had:
        numbers = {number for disk in honest.values() for number in disk.store.shares(cap.storage_index)}
        assert numbers == set(range(10))
    assert any("lie" in reason for reason in caretaker(grid).report().reasons)


def test_within_a_small_budget_the_most_endangered_come_first():
    budget = Budget(bytes_per_day=400_000.0)
    grid = grid_of(care=replace(TERMS, budget=budget, rules=replace(EAGER, grace=DAY)))
    _, caps = plant(grid, 40)
    days(grid, 1)
    poor = caps[7]
    for cap in caps:
        lose(grid, cap, servers_with(grid, cap, 5 if cap == poor else 1))
    grid.run(caretaker(grid).round(everything=True))
    assert len(present(grid, poor)) == 10
    assert sum(len(present(grid, cap)) < 10 for cap in caps) > 10
    spent = caretaker(grid).tidings.bytes
    days(grid, 1)
    assert caretaker(grid).tidings.bytes - spent < 2 * 400_000.0
    days(grid, 20)
    assert all(len(present(grid, cap)) == 10 for cap in caps)


def test_what_an_allowance_did_not_reach_is_mended_as_soon_as_there_is_more_though_a_restart_lies_between():
    grid = grid_of(care=replace(TERMS, budget=Budget(bytes_per_day=400_000.0)))
    _, caps = plant(grid, 40)
    days(grid, 1)
    for cap in caps:
        lose(grid, cap, servers_with(grid, cap, 1))
    grid.run(caretaker(grid).round(everything=True))
    assert sum(len(present(grid, cap)) < 10 for cap in caps) > 10
    grid.crash("client-0")
    grid.restart("client-0")
    days(grid, 5)  # less than the week after which all is looked for again
    assert all(len(present(grid, cap)) == 10 for cap in caps)


def test_nothing_is_moved_as_long_as_a_repair_is_owed():
    grid = grid_of(servers=20, care=replace(TERMS, budget=Budget(bytes_per_day=400_000.0)))
    later = [f"server-{number}" for number in range(10, 20)]
    grid.crash(*later)
    grid.run(60.0)
    _, caps = plant(grid, 40)  # crowded on half of the servers
    for cap in caps:
        lose(grid, cap, servers_with(grid, cap, 1))
    grid.restart(*later)
    grid.run(60.0)
    grid.run(caretaker(grid).round(everything=True))
    assert sum(len(present(grid, cap)) < 10 for cap in caps) > 10
    assert not caretaker(grid).tidings.counts["moves"]
    days(grid, 25)
    assert all(len(present(grid, cap)) == 10 for cap in caps)
    assert caretaker(grid).tidings.counts["moves"]


def test_a_lazy_rule_repairs_later_and_then_everything():
    grid = grid_of(care=replace(TERMS, rules=CareRules()))
    _, caps = plant(grid, 10)
    days(grid, 1)
    cap = caps[0]
    homes = servers_with(grid, cap, 10)
    lose(grid, cap, homes[:3])
    days(grid, 10)
    assert len(present(grid, cap)) == 7
    lose(grid, cap, homes[3:4])
    days(grid, 10)
    assert len(present(grid, cap)) == 10


def test_new_servers_get_their_part_of_crowded_files():
    grid = grid_of(servers=20)
    later = [f"server-{number}" for number in range(5, 20)]
    grid.crash(*later)
    grid.run(60.0)
    client = grid.clients[0].actor(CLIENT)
    client.membership.bounds = client.membership.bounds._replace(
        fixed=msgspec.structs.replace(client.membership.encoding(), happy=3)
    )
    cap = parse(grid.upload(content("phantom", 1)))
    grid.run(caretaker(grid).add("file", str(cap)))
    assert len(servers_with(grid, cap, 20)) == 5
    grid.restart(*later)
    days(grid, 100)
    assert len(servers_with(grid, cap, 20)) >= 10
    assert grid.download(str(cap)) == content("phantom", 1)


def test_a_server_that_is_leaving_is_emptied_and_there_is_never_less_than_before():
    grid = grid_of()
    root, caps = plant(grid)
    days(grid, 8)
    leaver = "server-4"
    had = [cap for cap in caps if grid.fleet.disks[leaver].store.shares(cap.storage_index)]
    assert had
    is_home = leaver in homes_of(grid, root)
    give_notice(grid, leaver)
    grid.run(caretaker(grid).round(everything=True))
    assert caretaker(grid).tidings.counts["moves"] == len(had) + is_home
    assert all(len(present(grid, cap)) == 10 for cap in caps)
    grid.crash(leaver)
    assert all(len(present(grid, cap)) == 10 for cap in caps)
    new = parse(grid.upload(content("phantom", 1000)))
    assert leaver not in servers_with(grid, new, 15)


def test_within_a_day_of_a_notice_files_and_slots_have_left_and_the_old_homes_know_where_to():
    grid = grid_of("message", clients=2)
    root, caps = plant(grid, 12, "message")
    days(grid, 3)
    leavers = homes_of(grid, root)[2:6]  # more than one write can move
    give_notice(grid, *leavers)
    days(grid, 1)
    assert not set(homes_of(grid, root)) & set(leavers)
    everything = dict(grid.fleet.disks)
    staying = [name for name in everything if name not in leavers]
    index = root.file.storage_index
    for cap in caps:
        numbers = {number for name in staying for number in everything[name].store.shares(cap.storage_index)}
        assert numbers == set(range(10))
    for name in leavers:
        (number,) = everything[name].slots.numbers(index)
        assert name not in {grid_name(grid, home) for home in everything[name].slots.head(index, number).version.homes}
    grid.crash(*leavers)
    assert len(grid.run(grid.clients[1].actor(CLIENT).directories.list(root), 1)) == len(caps)


def test_who_knows_only_homes_that_are_none_any_more_still_finds_the_newest_version():
    grid = grid_of("message", servers=24, clients=2)
    client, stranger = (grid.clients[number].actor(CLIENT).slots for number in range(2))
    slot = grid.run(client.create(b"first"))
    assert grid.run(stranger.read(slot), 1).data == b"first"
    keeper = caretaker(grid)
    grid.run(keeper.add("slot", str(slot)))
    first = grid.run(client.newest(slot.storage_index)).homes
    give_notice(grid, *[grid_name(grid, home) for home in first])
    grid.run(keeper.round(everything=True))
    last = grid.run(client.newest(slot.storage_index)).homes
    assert not set(first) & set(last)
    grid.run(client.overwrite(slot, b"last"))
    found = grid.run(stranger.read(slot), 1)
    assert (found.data, found.may_be_stale) == (b"last", False)
    grid.run(stranger.overwrite(slot, b"the stranger's"), 1)
    assert grid.run(client.read(slot)).data == b"the stranger's"


@pytest.mark.parametrize("seed", [0, 98, 108, 127])
def test_nothing_that_is_written_gets_lost_while_homes_move(seed):
    settings = GridOptions(
        fidelity="message",
        upkeep=Upkeep(0, 0, 0),
        introducers=0,
        acquainted=True,
        care=replace(TERMS, tick=1e12),
        ties=True,
    )
    grid = SimGrid(seed, servers=16, clients=3, options=settings)
    users = [node.actor(CLIENT) for node in grid.clients]
    root = grid.run(users[0].directories.create({}))
    grid.run(caretaker(grid).add("home", str(root)))
    leavers = homes_of(grid, root)[:5]
    give_notice(grid, *leavers)
    done = []

    async def write(number):
        for turn in range(4):
            name = f"{number}-{turn}"
            try:
                await users[number].directories.set_children(root, {name: NewChild(parse("URI:LIT:krugkidfnzsc4"))})
            except TahoeError:
                continue
            done.append(name)

    grid.fleet.trouble(list(grid.fleet.nodes), Trouble(loss=0.03))
    stories = [grid.clients[number].observe(write(number)) for number in (1, 2)]
    stories.append(grid.clients[0].observe(caretaker(grid).round(everything=True)))
    for story in stories:
        grid.run(story)
    grid.fleet.trouble(list(grid.fleet.nodes), None)
    grid.run(60.0)
    assert len(done) >= 6
    assert set(done) <= set(grid.run(users[1].directories.list(root), 1))
    grid.run(caretaker(grid).round(everything=True))
    assert not set(homes_of(grid, root, 2)) & set(leavers)
    grid.crash(*leavers)
    assert set(done) <= set(grid.run(users[2].directories.list(root), 2))


def test_leases_are_renewed_for_as_long_as_it_is_looked_after():
    grid = grid_of()
    _, caps = plant(grid, 5)
    days(grid, 70)
    name = servers_with(grid, caps[0], 1)[0]
    store = grid.fleet.disks[name].store
    number = next(iter(store.shares(caps[0].storage_index)))
    (lease,) = store.leases(caps[0].storage_index, number)
    assert lease.expires - grid.node(name).actor(STORAGE).steward.now() > 10 * DAY
    assert caretaker(grid).tidings.counts["renewed"] >= 6 * len(caps)


def test_all_is_remembered_across_restarts():
    grid = grid_of()
    _, caps = plant(grid)
    days(grid, 8)
    before = caretaker(grid).report()
    grid.crash("client-0")
    grid.restart("client-0")
    grid.run(10.0)
    after = caretaker(grid).report()
    assert after.roots == before.roots
    assert len(caretaker(grid).care.records) == len(caps) + 1


def test_it_grows_old_and_says_so_when_it_can_t_work():
    grid = grid_of()
    plant(grid)
    days(grid, 8)
    assert caretaker(grid).report().state is Light.GREEN
    grid.partition("cut off", ["client-0"], [f"server-{number}" for number in range(15)])
    days(grid, 3)
    assert caretaker(grid).report().roots[0].verified > 0
    days(grid, 20)
    report = caretaker(grid).report()
    assert report.state is not Light.GREEN
    assert any("days since all of it was seen alive" in reason for reason in report.reasons)
    grid.heal("cut off")
    days(grid, 10)
    assert caretaker(grid).report().state is Light.GREEN


def test_what_is_lost_turns_the_light_red():
    grid = grid_of(care=replace(TERMS, rules=replace(EAGER, grace=DAY)))
    _, caps = plant(grid)
    days(grid, 1)
    for name in servers_with(grid, caps[3], 10):
        for number in grid.fleet.disks[name].store.shares(caps[3].storage_index):
            grid.fleet.disks[name].platter._store.lose(caps[3].storage_index, number)
    told = []
    caretaker(grid).on_change = lambda report: told.append(report.state)
    days(grid, 9)
    report = caretaker(grid).report()
    assert report.state is Light.RED
    assert report.state.status == 2
    assert dict(report.roots[0].counts)["lost"] == 1
    assert told[-1] is Light.RED


def test_a_caretaker_with_nothing_but_a_manifest_keeps_what_it_can_t_read():
    grid = grid_of(clients=2)
    _, caps = plant(grid, 12)
    days(grid, 2)
    manifest = grid.run(caretaker(grid).publish("home"))
    caretaker(grid)._terms = replace(TERMS, tick=1e12)
    grid.run(caretaker(grid, 1).add("a friend's", str(manifest), manifest=True), 1)
    grid.run(caretaker(grid, 1).round(everything=True), 1)
    records = caretaker(grid, 1).care.records
    assert all(record.capability.startswith(("URI:CHK-Verifier:", "URI:SLOT-Verifier:")) for record in records.values())
    assert {cap.storage_index for cap in caps} <= set(records)
    grid.crash("client-0", "server-2", "server-9")
    days(grid, 20)
    assert all(present(grid, cap) == set(range(10)) for cap in caps)


def test_a_manifest_is_kept_by_its_owner_s_caretaker_too_and_does_not_list_itself():
    grid = grid_of()
    plant(grid, 3)
    days(grid, 2)
    manifest = grid.run(caretaker(grid).publish("home"))
    client = grid.clients[0].actor(CLIENT)
    before = grid.run(client.slots.read(manifest)).data
    days(grid, 8)
    assert manifest.storage_index in caretaker(grid).care.records
    assert grid.run(client.slots.read(manifest)).data == before
    version = grid.run(client.slots.newest(manifest.storage_index))
    grid.crash(*[grid_name(grid, home) for home in version.homes[:4]])
    days(grid, 20)
    look = grid.run(client.keeper.check([manifest.verifier()]))[0]
    assert {number for number, nodes in look.health.good.items() if nodes} == set(range(version.shape.total))


def delegated(grid, seconds=400 * DAY, account=0, delegate=1):
    """What the owner of an account gives to a friend's caretaker."""
    owner, friend = grid.clients[account], grid.clients[delegate]
    given = Delegation(owner.name, friend.name, int(owner.wall_time() + seconds))
    return delegation_text(sign_delegation(owner.profile.identity, given))


def befriend(grid, delegation, name="a friend's"):
    """Let the caretaker of client 1 look after what client 0 has published; client 0 is off from then on."""
    days(grid, 2)
    manifest = grid.run(caretaker(grid).publish("home"))
    grid.run(caretaker(grid, 1).add(name, str(manifest), manifest=True, delegation=delegation), 1)
    grid.crash("client-0")


def usage(grid):
    """Shares by account, over all servers that run."""
    found = Counter()
    for name in grid.fleet.disks:
        if grid.node(name).incarnation is not None:
            books = grid.node(name).actor(STORAGE).steward.books
            found.update({account: each.shares for account, each in books.usage().items() if each.shares})
    return found


def test_a_friend_keeps_leases_for_the_account_of_an_owner_who_is_away_for_months():
    grid = grid_of(clients=2)
    _, caps = plant(grid, 12)
    befriend(grid, delegated(grid))
    days(grid, 20)
    grid.crash("server-2", "server-9")
    days(grid, 100)
    owner, friend = (node.name for node in grid.clients)
    assert all(present(grid, cap) == set(range(10)) for cap in caps)
    for cap in caps:
        for name in servers_with(grid, cap, 15):
            if grid.node(name).incarnation is not None:
                ends = [
                    lease.expires
                    for number in grid.fleet.disks[name].store.shares(cap.storage_index)
                    for lease in grid.fleet.disks[name].store.leases(cap.storage_index, number)
                ]
                assert max(ends) > grid.node(name).actor(STORAGE).steward.now() + 10 * DAY
    found = usage(grid)
    assert found[owner] >= 10 * len(caps)
    assert not found[friend], "what was repaired is charged to its owner in the end"


def test_a_friend_who_looks_after_it_no_more_cancels_the_leases_that_he_made():
    grid = grid_of(clients=2)
    _, caps = plant(grid, 3)
    befriend(grid, delegated(grid))
    days(grid, 10)
    cap, name = caps[0], servers_with(grid, caps[0], 1)[0]
    store = grid.fleet.disks[name].store
    number = next(iter(store.shares(cap.storage_index)))
    assert len(store.leases(cap.storage_index, number)) == 2
    grid.run(caretaker(grid, 1).remove("a friend's"), 1)
    assert len(store.leases(cap.storage_index, number)) == 1


def test_a_delegation_that_ends_is_spoken_of_in_time_and_nothing_is_leased_by_it_afterwards():
    grid = grid_of(clients=2)
    plant(grid, 3)
    befriend(grid, delegated(grid, 40 * DAY))
    days(grid, 15)
    report = caretaker(grid, 1).report()
    assert report.state is Light.GREEN
    assert any("delegation ends in 2" in reason for reason in report.reasons)
    days(grid, 30)
    report = caretaker(grid, 1).report()
    assert report.state is Light.YELLOW
    assert any("has run out" in reason for reason in report.reasons)
    renewed = caretaker(grid, 1).tidings.counts["renewed"]
    days(grid, 15)
    assert caretaker(grid, 1).tidings.counts["renewed"] == renewed


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda grid: delegated(grid, delegate=0), "was given to"),
        (lambda grid: delegated(grid, -1), "has run out"),
        (lambda grid: delegated(grid)[:-8] + "aaaaaaaa", "does not hold"),
        (lambda _: "please", "no delegation"),
        (lambda _: "tahoe-delegation:!", "mistyped"),
    ],
)
def test_a_delegation_that_is_of_no_use_is_refused_when_it_is_handed_in(given, words):
    grid = grid_of(clients=2)
    _, caps = plant(grid, 1)
    with pytest.raises(BadCapability, match=words):
        grid.run(caretaker(grid, 1).add("x", str(caps[0].verifier()), delegation=given(grid)), 1)
    assert "x" not in caretaker(grid, 1).care.roots


def test_a_caretaker_of_its_own_holds_nothing_that_reads():
    grid = grid_of(care=replace(TERMS, verify_only=True))
    client = grid.clients[0].actor(CLIENT)
    file = parse(grid.upload(content("phantom", 1)))
    root = grid.run(client.directories.create({"file": NewChild(file)}))
    grid.run(caretaker(grid).add("file", str(file)))
    assert caretaker(grid).care.roots["file"].capability == str(file.verifier())
    with pytest.raises(BadCapability, match="publish"):
        grid.run(caretaker(grid).add("home", str(root)))
    grid.crash(servers_with(grid, file, 1)[0])
    days(grid, 30)
    assert present(grid, file) == set(range(10))


def test_what_can_t_be_looked_after_is_refused():
    grid = grid_of()
    keeper = caretaker(grid)
    with pytest.raises(BadCapability, match="can't be lost"):
        grid.run(keeper.add("short", "URI:LIT:krugkidfnzsc4"))
    with pytest.raises(BadCapability, match="manifest"):
        grid.run(keeper.add("file", grid.upload(content("phantom", 1)), manifest=True))
    with pytest.raises(NoSuchRoot):
        grid.run(keeper.remove("nothing"))


def test_leases_are_renewed_without_waiting_for_a_server_that_sleeps():
    grid = grid_of()
    _, caps = plant(grid, 3)
    days(grid, 1)
    grid.crash(servers_with(grid, caps[0], 1)[0])
    grid.run(60.0)
    keeper = caretaker(grid)
    for record in keeper.care.records.values():
        record.leased = 0.0
    begun = grid.clients[0].wall_time()
    grid.run(keeper.round(everything=True))
    assert all(record.leased for record in keeper.care.records.values())
    assert grid.clients[0].wall_time() - begun < grid.clients[0].actor(CLIENT).terms.room.habits.patience
