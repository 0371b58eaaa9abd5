"""Directories as clients see them: edits of different names all succeed, of two who fight over one the first stands."""

from __future__ import annotations

import itertools
from contextlib import suppress
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tahoe.actors.directories import Directories, Files, Kind, NewChild, Replace
from tahoe.actors.slots import Slots, SlotTerms
from tahoe.actors.tables import missing_edits
from tahoe.actors.tree import Walk, deep_statistics
from tahoe.codec.capability import Directory, ImmutableRead, Literal, SlotRead, SlotWrite, Unknown, parse
from tahoe.codec.directory import BadName, Change, CorruptDirectory, DirectoryTable, Edit, Link
from tahoe.errors import (
    BadCapability,
    ChildExists,
    Conflict,
    Indefinite,
    NoSuchChild,
    NotADirectory,
    NotEnoughServers,
    NotEnoughShares,
    Refused,
    TahoeError,
)
from tahoe.protocol import WriteSlot
from tests.actors.slotrig import SlotRig, patient

FOREIGN = "URI:SSK:" + "a" * 25 + "a:" + "a" * 51 + "a"


class DirectoryRig(SlotRig):
    """Clients with directories; files are kept in a dictionary instead of on the grid."""

    def __init__(self, *args, **more) -> None:
        self.files = {}
        super().__init__(*args, **more)
        self.directories = [self.new_directories(client) for client in range(len(self.clients))]

    def new_directories(self, client: int) -> Directories:
        return Directories(self.clients[client].context, self.slots[client], Files(self._read, self._store))

    async def _store(self, data, convergence):
        assert convergence is None
        capability = ImmutableRead(len(self.files).to_bytes(16, "big"), bytes(32), 3, 10, len(data))
        self.files[capability] = data
        return Literal(data) if len(data) <= 55 else capability

    async def _read(self, capability):
        return capability.data if isinstance(capability, Literal) else self.files[capability]

    def restart(self, client: int) -> None:
        super().restart(client)
        self.directories[client] = self.new_directories(client)

    def names(self, directory, client: int = 0) -> list[str]:
        return list(self.do(self.directories[client].list(directory), client))

    def table(self, directory, client: int = 0) -> dict[str, str]:
        return {name: str(entry.capability) for name, entry in self.listing(directory, client).items()}

    def listing(self, directory, client: int = 0):
        return self.do(self.directories[client].list(directory), client)


def file(number: int) -> ImmutableRead:
    return ImmutableRead(number.to_bytes(16, "big"), bytes(32), 3, 10, 1000 + number)


def child(number: int, **metadata) -> NewChild:
    return NewChild(file(number), metadata=metadata or None)


@pytest.fixture
def rig():
    return DirectoryRig()


@pytest.fixture
def mine(rig):
    return rig.directories[0]


@pytest.fixture
def root(rig, mine):
    return rig.do(mine.create())


# --- one client ------------------------------------------------------------------------------------------


def test_children_come_back_with_their_caps_and_metadata(rig, mine, root):
    rig.do(mine.set_children(root, {"a": child(1, colour="red"), "b": child(2)}))
    for client in (0, 1):
        listing = rig.listing(root, client)
        assert list(listing) == ["a", "b"]
        assert listing["a"].capability == file(1)
        assert listing["a"].metadata["colour"] == "red"
        assert listing["a"].metadata["tahoe"]["linkcrtime"] == listing["a"].metadata["tahoe"]["linkmotime"]
        assert not listing["a"].is_directory


def test_a_directory_made_with_children_has_them(rig, mine):
    made = rig.do(mine.create({"file": child(1), "slot": NewChild(SlotWrite(b"s" * 32))}))
    assert rig.table(made, 1) == {"file": str(file(1)), "slot": str(SlotWrite(b"s" * 32))}


def test_what_is_set_again_keeps_the_day_it_was_linked_first(rig, mine, root):
    rig.do(mine.set_children(root, {"a": child(1, colour="red")}))
    before = rig.listing(root)["a"].metadata
    rig.wait(100.0)
    rig.do(mine.set_children(root, {"a": child(2)}))
    after = rig.listing(root, 1)["a"].metadata
    assert after["colour"] == "red"
    assert after["tahoe"]["linkcrtime"] == before["tahoe"]["linkcrtime"]
    assert after["tahoe"]["linkmotime"] > before["tahoe"]["linkmotime"]


def test_an_add_costs_one_message_to_each_home_and_a_look_at_what_is_known_brings_no_blocks(rig, mine, root):
    rig.wait(5.0)
    before = rig.sent()
    rig.do(mine.set_children(root, {"a": child(1)}))
    rig.wait(5.0)
    assert rig.sent() - before == 10
    rig.listing(root, 1)
    blocks = []
    for machine in rig.servers:
        machine.bend = lambda _, answer: (
            blocks.extend(each for share in answer.shares for each in share.blocks) or answer
        )
    assert list(rig.listing(root, 1)) == ["a"]
    assert not blocks


def test_a_child_is_taken_out(rig, mine, root):
    rig.do(mine.set_children(root, {"a": child(1), "b": child(2)}))
    rig.do(mine.unlink(root, "a"))
    assert rig.names(root, 1) == ["b"]
    with pytest.raises(NoSuchChild):
        rig.do(mine.unlink(root, "a"))
    rig.do(mine.unlink(root, "a", missing_ok=True))


def test_what_is_taken_out_has_to_be_of_the_kind_that_was_said(rig, mine, root):
    rig.do(mine.mkdir(root, "directory"))
    rig.do(mine.set_children(root, {"file": child(1)}))
    with pytest.raises(ChildExists):
        rig.do(mine.unlink(root, "directory", Kind.FILE))
    with pytest.raises(NotADirectory):
        rig.do(mine.unlink(root, "file", Kind.DIRECTORY))
    rig.do(mine.unlink(root, "file", Kind.FILE))
    rig.do(mine.unlink(root, "directory", Kind.DIRECTORY))
    assert rig.names(root, 1) == []


def test_names_are_compared_in_normal_form(rig, mine, root):
    rig.do(mine.set_children(root, {"e\u0301": child(1)}))
    assert rig.names(root, 1) == ["\u00e9"]
    assert rig.do(mine.get(root, "e\u0301")).capability == file(1)
    rig.do(mine.unlink(root, "e\u0301"))
    assert rig.names(root) == []
    with pytest.raises(ChildExists):
        rig.do(mine.set_children(root, {"e\u0301": child(1), "\u00e9": child(2)}))


@pytest.mark.parametrize("name", ["", "a/b", "nul\0", "x" * 4097])
def test_names_that_no_child_may_have_are_refused_before_anything_is_done(rig, mine, root, name):
    rig.wait(5.0)
    before = rig.sent()
    for story in (
        mine.set_children(root, {name: child(1)}),
        mine.mkdir(root, name),
        mine.rename(root, "a", name),
        mine.create({name: child(1)}),
    ):
        with pytest.raises(BadName):
            rig.do(story)
    assert rig.sent() == before


@pytest.mark.parametrize(
    ("replace", "existing", "stands"),
    [
        (Replace.ALWAYS, "file", False),
        (Replace.ALWAYS, "directory", False),
        (Replace.NEVER, "file", True),
        (Replace.NEVER, "directory", True),
        (Replace.ONLY_FILES, "file", False),
        (Replace.ONLY_FILES, "directory", True),
    ],
)
@pytest.mark.parametrize("way", ["set", "rename", "move"])
def test_what_may_be_replaced_is_for_the_caller_to_say(replace, existing, stands, way):
    rig = DirectoryRig()
    mine = rig.directories[0]
    root = rig.do(mine.create())
    rig.do(mine.mkdir(root, "directory"))
    rig.do(mine.set_children(root, {"file": child(1), "mine": child(2)}))
    other = rig.do(mine.create({"mine": child(2)}))
    before = rig.table(root)[existing]
    story = {
        "set": lambda: mine.set_children(root, {existing: child(2)}, replace),
        "rename": lambda: mine.rename(root, "mine", existing, replace),
        "move": lambda: mine.move(other, "mine", root, existing, replace),
    }[way]
    if stands:
        with pytest.raises(ChildExists):
            rig.do(story())
        assert rig.table(root, 1)[existing] == before
        assert rig.names(other, 1) == ["mine"]
    else:
        rig.do(story())
        assert rig.table(root, 1)[existing] == str(file(2))


def test_a_child_is_renamed_at_one_stroke(rig, mine, root):
    rig.do(mine.set_children(root, {"old": child(1, colour="red")}))
    before = rig.sent()
    rig.do(mine.rename(root, "old", "new"))
    rig.wait(5.0)
    assert rig.sent() - before == 10
    assert rig.names(root, 1) == ["new"]
    assert rig.listing(root, 1)["new"].metadata["colour"] == "red"
    with pytest.raises(NoSuchChild):
        rig.do(mine.rename(root, "old", "other"))


def test_a_path_is_followed_and_what_is_missing_of_it_made(rig, mine, root):
    deep = rig.do(mine.make_path(root, ["a", "b", "c"]))
    rig.do(mine.set_children(deep, {"file": child(1)}))
    theirs = rig.directories[1]
    found = rig.do(theirs.lookup(root, ["a", "b", "c", "file"]), 1)
    assert (found.capability, found.parent) == (file(1), deep)
    assert rig.do(theirs.make_path(root, ["a", "b", "c"]), 1) == deep
    assert rig.do(theirs.lookup(root, []), 1).capability == root
    with pytest.raises(NoSuchChild, match="nothing"):
        rig.do(theirs.lookup(root, ["a", "nothing", "c"]), 1)
    for story in (theirs.lookup(root, ["a", "b", "c", "file", "x"]), theirs.make_path(deep, ["file", "x"])):
        with pytest.raises(NotADirectory):
            rig.do(story, 1)


# --- power -------------------------------------------------------------------------------------------------


def test_read_only_is_transitive(rig, mine, root):
    below = rig.do(mine.mkdir(root, "below"))
    rig.do(mine.set_children(below, {"slot": NewChild(SlotWrite(b"s" * 32)), "foreign": NewChild(parse(FOREIGN))}))
    theirs = rig.directories[1]
    found = rig.do(theirs.lookup(root.read_only(), ["below"]), 1)
    assert found.capability == below.read_only()
    listing = rig.listing(found.capability, 1)
    assert isinstance(listing["slot"].capability, SlotRead)
    assert not listing["foreign"].capability.writeable
    for story in (
        theirs.set_children(root.read_only(), {"x": child(1)}),
        theirs.unlink(found.capability, "slot"),
        theirs.mkdir(found.capability, "x"),
        theirs.rename(root.read_only(), "below", "x"),
        theirs.move(root, "below", found.capability, "x"),
    ):
        with pytest.raises(BadCapability):
            rig.do(story, 1)
    assert rig.table(root) == {"below": str(below)}
    assert rig.listing(below)["foreign"].capability == parse(FOREIGN)


def test_a_writer_who_puts_a_write_cap_where_a_read_cap_belongs_hands_on_no_power(rig, mine):
    secret = str(SlotWrite(b"s" * 32))
    table = DirectoryTable({"trap": Link(secret, b""), "prefixed": Link("ro." + secret, b"")})
    made = Directory(rig.do(rig.slots[0].create(table.contents)))
    for name in ("trap", "prefixed"):
        entry = rig.listing(made.read_only(), 1)[name]
        assert isinstance(entry.capability, Unknown)
        assert isinstance(entry.read, Unknown)
        with pytest.raises(BadCapability):
            entry.capability.check_served()


def test_caps_of_unknown_kinds_survive_edits_and_compactions(rig, mine, root):
    future = NewChild(parse("URI:FUTURE:write"), parse("URI:FUTURE:read"))
    rig.do(mine.set_children(root, {"future": future, "read": NewChild(parse("ro.URI:LATER:x"))}))
    for number in range(150):
        rig.do(mine.set_children(root, {"often": child(number, padding="x" * 200)}))
    listing = rig.listing(root, 1)
    assert str(listing["future"].capability) == "URI:FUTURE:write"
    assert str(listing["future"].read) == "ro.URI:FUTURE:read"
    assert str(listing["read"].capability) == "ro.URI:LATER:x"
    rig.do(rig.directories[1].rename(root, "future", "moved"), 1)
    assert rig.table(root)["moved"] == "URI:FUTURE:write"
    with pytest.raises(BadCapability):
        rig.do(mine.set_children(root, {"x": NewChild(parse("URI:FUTURE:write"))}))


def test_immutable_directories_hold_nothing_that_can_change(rig, mine):
    inner = rig.do(mine.create_immutable({}, None))
    assert str(inner) == "URI:DIR2-LIT:"
    outer = rig.do(mine.create_immutable({"file": child(1, colour="red"), "inner": NewChild(inner)}, None))
    assert str(outer).startswith("URI:DIR2-CHK:")
    assert rig.table(outer, 1) == {"file": str(file(1)), "inner": str(inner)}
    assert rig.listing(outer, 1)["file"].metadata["colour"] == "red"
    for wrong in (NewChild(SlotWrite(b"s" * 32)), NewChild(SlotWrite(b"s" * 32).read_only()), NewChild(parse("ro.x"))):
        with pytest.raises(BadCapability):
            rig.do(mine.create_immutable({"x": wrong}, None))
    later = rig.do(mine.create_immutable({"later": NewChild(parse("imm.URI:LATER:x"))}, None))
    assert rig.table(later, 1) == {"later": "imm.URI:LATER:x"}
    with pytest.raises(BadCapability, match="immutable"):
        rig.do(mine.set_children(outer, {"x": child(1)}))


@pytest.mark.parametrize("text", ["URI:LIT:", str(file(1)), str(SlotWrite(b"s" * 32))])
def test_what_is_no_directory_is_not_listed(rig, mine, text):
    with pytest.raises(NotADirectory):
        rig.do(mine.list(parse(text)))


def test_directories_that_are_not_served_or_not_readable_are_refused_by_name(rig, mine, root):
    for capability in (parse(FOREIGN.replace("SSK", "DIR2")), root.verifier(), parse("URI:FUTURE:x")):
        with pytest.raises(BadCapability):
            rig.do(mine.list(capability))


def test_a_slot_with_something_else_in_it_is_a_corrupt_directory(rig, mine):
    slot = rig.do(rig.slots[0].create(b"something else"))
    for story in (mine.list(Directory(slot)), mine.set_children(Directory(slot), {"x": child(1)})):
        with pytest.raises(CorruptDirectory):
            rig.do(story)


# --- many entries ------------------------------------------------------------------------------------------


def test_many_children_at_once_and_one_after_the_other_are_all_there(rig, mine, root):
    many = {f"name {number}": child(number, padding="x" * 50) for number in range(600)}
    rig.do(mine.set_children(root, many))
    for number in range(600, 640):
        rig.do(mine.set_children(root, {f"name {number}": child(number)}))
    assert len(rig.names(root, 1)) == 640


def test_adding_to_a_large_directory_costs_what_adding_to_a_small_one_does(rig, mine):
    moved = []
    rig.terms = SlotTerms(3, 10, patience=rig.terms.patience)
    costs = []
    for size in (0, 3000):
        made = rig.do(mine.create({f"name {number}": child(number) for number in range(size)}))
        rig.wait(5.0)
        for machine in rig.servers:
            machine.bend = lambda request, answer: moved.append(_weight(request) + _weight(answer)) or answer
        del moved[:]
        for number in range(40):
            rig.do(mine.set_children(made, {f"new {number}": child(number)}))
        rig.wait(5.0)
        costs.append(sum(moved) / 40)
    assert costs[1] < 1.5 * costs[0]


def _weight(message) -> int:
    shares = getattr(message, "shares", ())
    return sum(200 + len(block.data) for share in shares for block in share.blocks)


def test_a_log_that_outweighs_the_snapshot_is_compacted(rig, mine, root):
    sizes = []
    for number in range(120):
        rig.do(mine.set_children(root, {"same name": child(number, padding="x" * 600)}))
        sizes.append(rig.listing(root).size)
    assert max(sizes) < 40_000
    assert rig.table(root, 1) == {"same name": str(file(119))}


def test_edits_of_one_client_at_the_same_moment_are_made_together(rig, mine, root):
    rig.wait(5.0)
    before = rig.sent()
    promises = [
        rig.world.observe(mine.set_children(root, {f"name {number}": child(number)}), rig.clients[0].life)
        for number in range(50)
    ]
    for promise in promises:
        rig.world.run(promise)
    rig.wait(5.0)
    assert rig.sent() - before <= 20
    assert len(rig.names(root, 1)) == 50


# --- several clients ---------------------------------------------------------------------------------------


def test_an_edit_is_not_refused_for_what_was_looked_up_before_it_was_begun(rig, mine, root):
    yours = rig.directories[1]
    rig.names(root, 1)
    rig.wait(5.0)
    rig.home(root, 9).delay = 0.3  # whoever changes something waits a moment for the last home, too
    before = rig.world.observe(yours.unlink(root, "a"), rig.clients[1].life)
    rig.wait(0.02)
    rig.do(mine.set_children(root, {"a": child(1)}))
    after = rig.world.observe(yours.unlink(root, "a"), rig.clients[1].life)
    with pytest.raises(NoSuchChild):
        rig.world.run(before)
    rig.world.run(after)
    assert rig.names(root) == []


def test_an_edit_that_dies_of_a_bug_tells_those_who_wait_and_the_next_one_is_made(rig, mine, root, monkeypatch):
    modify = Slots.modify

    async def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(Slots, "modify", fail)
    with pytest.raises(ZeroDivisionError):
        rig.do(mine.set_children(root, {"a": child(1)}))
    monkeypatch.setattr(Slots, "modify", modify)
    rig.do(mine.set_children(root, {"b": child(2)}))
    assert rig.names(root, 0) == ["b"]


def slow(rig, seed) -> None:
    rng = Random(seed)
    for machine in rig.servers:
        machine.delay = rng.uniform(0.001, 0.1)


@pytest.mark.parametrize("clients", [2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_edits_of_different_names_by_different_clients_all_succeed(clients, seed):
    rig = DirectoryRig(clients=clients, seed=seed)
    root = rig.do(rig.directories[0].create({"there": child(0)}))
    for client in range(clients):
        rig.listing(root, client)
    slow(rig, seed)

    async def several(client):
        for number in range(4):
            await rig.directories[client].set_children(root, {f"{client}/{number}".replace("/", "-"): child(number)})

    assert rig.all(*(several(client) for client in range(clients))) == [None] * clients
    expected = {f"{client}-{number}" for client in range(clients) for number in range(4)} | {"there"}
    assert set(rig.names(root)) == expected


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("replace", [Replace.ALWAYS, Replace.NEVER])
def test_of_two_who_fight_over_a_name_the_first_stands_and_the_second_is_told(seed, replace):
    rig = DirectoryRig(seed=seed)
    root = rig.do(rig.directories[0].create({"fought": child(0)} if replace is Replace.ALWAYS else {}))
    rig.listing(root, 1)
    slow(rig, seed)
    stories = [each.set_children(root, {"fought": child(1 + who)}, replace) for who, each in enumerate(rig.directories)]
    outcomes = rig.all(*stories)
    won = [who for who, outcome in enumerate(outcomes) if outcome is None]
    assert len(won) == 1, outcomes
    assert isinstance(outcomes[1 - won[0]], Conflict)
    assert rig.table(root) == {"fought": str(file(1 + won[0]))}


def test_what_builds_on_an_edit_that_lost_its_fight_is_lost_with_it():
    def link(number: int) -> Link:
        return Link(str(file(number)), b"")

    base = DirectoryTable({"b": link(1)})
    winner, loser, third = base.copy(), base.copy(), base.copy()
    winner.append(Edit(b"unlink", (Change("b", None),)))
    loser.append(Edit(b"rename", (Change("d", link(1)), Change("b", None))))
    loser.append(Edit(b"again", (Change("c", link(1)), Change("d", None))))
    loser.append(Edit(b"other", (Change("e", link(2)),)))
    third.append(Edit(b"fights", (Change("e", link(3)),)))
    merged = missing_edits(list(winner.edits()), winner, loser)
    assert [edit.identity for edit in merged] == [b"other"]
    assert missing_edits([*winner.edits(), *merged], winner, third) == []


def test_what_somebody_else_changed_long_ago_is_no_fight(rig, mine, root):
    rig.do(mine.set_children(root, {"a": child(1)}))
    rig.listing(root, 1)
    rig.do(mine.set_children(root, {"a": child(2)}))
    rig.wait(60.0)
    rig.do(rig.directories[1].set_children(root, {"a": child(3)}), 1)
    assert rig.table(root) == {"a": str(file(3))}


def test_two_who_make_one_path_share_it(rig, root):
    outcomes = rig.all(*(each.make_path(root, ["a", "b"]) for each in rig.directories))
    assert outcomes[0] == outcomes[1]
    assert rig.do(rig.directories[0].lookup(root, ["a", "b"])).capability == outcomes[0]


def test_what_a_failed_edit_would_have_made_refuses_nobody(rig, mine, root):
    for machine in rig.servers:
        machine.actor.receive = _full(machine.actor.receive)
    replaces = (Replace.ALWAYS, Replace.NEVER)
    edits = [mine.set_children(root, {"name": child(number)}, replace) for number, replace in enumerate(replaces)]
    promises = [rig.world.observe(edit, rig.clients[0].life) for edit in edits]
    for promise in promises:
        with pytest.raises(NotEnoughServers):
            rig.world.run(promise)


def _full(receive):
    async def refuse(sender, message):
        if isinstance(message, WriteSlot):
            raise Refused("NoSpace", "the disk is full")
        return await receive(sender, message)

    return refuse


def test_an_edit_whose_answers_were_lost_finds_itself(rig, mine, root):
    rig.do(mine.set_children(root, {"a": child(1)}))
    rig.wait(5.0)
    for machine in rig.servers:
        machine.bend = lambda request, answer: None if isinstance(request, WriteSlot) else answer
    rig.do(mine.set_children(root, {"b": child(2)}, Replace.NEVER))
    rig.do(mine.unlink(root, "a"))
    for machine in rig.servers:
        machine.bend = None
    assert rig.table(root, 1) == {"b": str(file(2))}


@pytest.mark.parametrize("reached", range(1, 10))
def test_an_edit_of_a_writer_who_died_is_there_or_not_and_the_next_ones_are(rig, mine, root, reached):
    rig.listing(root, 1)
    rig.wait(5.0)
    count = itertools.count()
    originals = {machine: machine.deliver for machine in rig.servers}

    def through(original):
        def deliver(sender, message, asking):
            if not isinstance(message, WriteSlot) or next(count) < reached:
                original(sender, message, asking)

        return deliver

    for machine, original in originals.items():
        machine.deliver = through(original)
    rig.start_on(0, mine.set_children(root, {"half": child(1)}))
    rig.wait(0.02)
    rig.world.end(rig.clients[0].life)
    for machine, original in originals.items():
        machine.deliver = original
    rig.do(rig.directories[1].set_children(root, {"next": child(2)}), 1)
    rig.do(rig.directories[1].set_children(root, {"last": child(3)}), 1)
    names = rig.names(root, 1)
    assert names in (["half", "last", "next"], ["last", "next"])
    assert names == ["half", "last", "next"] or reached < 7, "what a quorum has is done"
    assert rig.names(root, 1) == names


# --- moves -------------------------------------------------------------------------------------------------


def test_a_child_is_moved_and_keeps_its_power_and_metadata(rig, mine, root):
    target = rig.do(mine.mkdir(root, "target"))
    below = rig.do(mine.mkdir(root, "below"))
    rig.do(mine.set_children(root, {"below": NewChild(below, metadata={"colour": "red"})}))
    rig.do(mine.move(root, "below", target, "moved"))
    assert rig.names(root, 1) == ["target"]
    assert rig.table(target, 1) == {"moved": str(below)}
    assert rig.listing(target, 1)["moved"].metadata["colour"] == "red"


@pytest.mark.parametrize("seconds", [step / 400 for step in range(1, 24)])
def test_a_move_that_is_cut_short_anywhere_loses_nothing_and_is_finished_when_done_again(seconds):
    rig = DirectoryRig()
    mine = rig.directories[0]
    source, target = rig.do(mine.create({"old": child(1)})), rig.do(mine.create())
    rig.wait(5.0)
    rig.start_on(0, mine.move(source, "old", target, "new", Replace.NEVER))
    rig.wait(seconds)
    rig.world.end(rig.clients[0].life)
    rig.restart(0)
    here, there = rig.names(source, 1), rig.names(target, 1)
    assert here or there, "nothing is ever lost"
    if here:
        rig.do(rig.directories[0].move(source, "old", target, "new", Replace.NEVER))
    assert (rig.table(source, 1), rig.table(target, 1)) == ({}, {"new": str(file(1))})


def test_a_name_that_was_given_to_something_else_during_the_move_stays(rig, mine, root):
    target = rig.do(mine.create())
    rig.do(mine.set_children(root, {"old": child(1)}))
    rig.listing(root, 1)
    originals = [machine.deliver for machine in rig.servers]
    writes = itertools.count()

    def between(original):
        def deliver(sender, message, asking):
            if isinstance(message, WriteSlot) and sender == rig.clients[0].name and next(writes) == 10:
                other = rig.directories[1].set_children(root, {"old": child(2)})
                rig.world.observe(other, rig.clients[1].life)
                rig.world.after(0.05, original, sender, message, asking)
                return
            if isinstance(message, WriteSlot) and sender == rig.clients[0].name and next(writes) > 10:
                rig.world.after(0.05, original, sender, message, asking)
                return
            original(sender, message, asking)

        return deliver

    for machine, original in zip(rig.servers, originals, strict=True):
        machine.deliver = between(original)
    with suppress(Conflict):
        rig.do(mine.move(root, "old", target, "new"))
    rig.wait(5.0)
    assert rig.table(target, 1) == {"new": str(file(1))}
    assert rig.table(root, 1) == {"old": str(file(2))}


# --- walks -------------------------------------------------------------------------------------------------


def walked(rig, capability, client=1):
    async def walk():
        return [visit async for visit in Walk(rig.directories[client], capability)]

    return rig.do(walk(), client)


def test_a_walk_meets_every_object_once_whatever_loops_there_are(rig, mine, root):
    below = rig.do(mine.mkdir(root, "below"))
    rig.do(mine.set_children(below, {"up": NewChild(root), "file": child(1), "literal": NewChild(Literal(b"12"))}))
    rig.do(mine.set_children(root, {"again": NewChild(below), "zfile": child(1), "literal": NewChild(Literal(b"1"))}))
    visits = walked(rig, root)
    paths = ["/".join(visit.path) for visit in visits]
    assert paths == ["", "again", "again/file", "again/literal", "literal"]
    assert [visit.children for visit in visits] == [4, 3, 0, 0, 0]
    read_only = walked(rig, root.read_only())
    assert ["/".join(visit.path) for visit in read_only] == paths
    assert not any(visit.capability.writeable for visit in read_only)


def test_a_directory_that_can_not_be_read_is_told_and_the_walk_goes_on(rig, mine, root):
    rig.do(mine.set_children(root, {"gone": NewChild(Directory(SlotWrite(b"g" * 32))), "last": child(1)}))
    visits = walked(rig, root)
    assert [visit.path for visit in visits] == [(), ("gone",), ("last",)]
    assert isinstance(visits[1].trouble, NotEnoughShares)


def test_statistics_count_objects_and_bytes_by_kind(rig, mine, root):
    rig.do(
        mine.set_children(
            root,
            {
                "file": child(1),
                "slot": NewChild(SlotWrite(b"s" * 32)),
                "literal": NewChild(Literal(b"12345")),
                "later": NewChild(parse("ro.URI:LATER:x")),
                "gone": NewChild(Directory(SlotWrite(b"g" * 32))),
            },
        )
    )
    found = rig.do(deep_statistics(mine, root))
    assert found.counts == {
        "directories": 2,
        "immutable-files": 1,
        "mutable-files": 1,
        "literal-files": 1,
        "unknown": 1,
        "unreadable": 1,
    }
    assert (found.sizes["immutable-files"], found.sizes["literal-files"]) == (1001, 5)
    assert found.largest["children"] == 5
    assert found.histogram == {10: 1, 3: 1}


# --- everything at once --------------------------------------------------------------------------------------
#
# The model keeps every state that may be: an acknowledged edit is in all of them, a refused one in none. An indefinite one
# is in some, and may yet come into the others, when somebody merges what was left of it. What is read when all servers
# are up must be one of them.

ROOTS = range(2)
NAMES = ["a", "b", "c"]
DEFINITE = (NoSuchChild, ChildExists, Conflict, NotEnoughServers, NotEnoughShares)

names = st.sampled_from(NAMES)
roots = st.sampled_from(list(ROOTS))
clients = st.integers(0, 1)


class Set:
    """Link a file."""

    def __init__(self, root, name, number, replace):
        self.facts = root, name, number, replace

    def story(self, directories, capabilities):
        root, name, number, replace = self.facts
        return directories.set_children(capabilities[root], {name: child(number)}, replace)

    def apply(self, state):
        root, name, number, replace = self.facts
        if replace is Replace.NEVER and (root, name) in state:
            return None
        return state | {(root, name): number}


class Remove:
    """Take a name out."""

    def __init__(self, root, name):
        self.facts = root, name

    def story(self, directories, capabilities):
        root, name = self.facts
        return directories.unlink(capabilities[root], name)

    def apply(self, state):
        if self.facts not in state:
            return None
        return {key: value for key, value in state.items() if key != self.facts}


class Copy:
    """The first half of a move from the first directory to the second."""

    def __init__(self, name):
        self.name = name

    def apply(self, state):
        return state | {(1, self.name): state[0, self.name]} if (0, self.name) in state else None


class Name:
    """Rename within a directory."""

    def __init__(self, root, old, new):
        self.facts = root, old, new

    def story(self, directories, capabilities):
        root, old, new = self.facts
        return directories.rename(capabilities[root], old, new)

    def apply(self, state):
        root, old, new = self.facts
        if (root, old) not in state:
            return None
        kept = {key: value for key, value in state.items() if key != (root, old)}
        return kept | {(root, new): state[root, old]}


numbers = st.integers(0, 1000)
edits = st.one_of(
    st.builds(Set, roots, names, numbers, st.sampled_from([Replace.ALWAYS, Replace.NEVER])),
    st.builds(Remove, roots, names),
    st.builds(Name, roots, names, names),
)


class Friends(RuleBasedStateMachine):
    """Two clients edit two directories while servers come and go, and messages are lost and doubled."""

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed):
        self.rig = DirectoryRig(seed=seed)
        self.rig.terms = patient(self.rig.terms, question=1.0, write=1.0, mending=2.0, tries=8)
        self.rng = Random(seed)
        self.loss = self.doubling = 0.0
        for machine in self.rig.servers:
            machine.deliver = self._unreliable(machine.deliver)
        mine = self.rig.directories[0]
        self.roots = [self.rig.do(mine.create()) for _ in ROOTS]
        self.states = [({}, ())]
        self.weather = (), 0.0

    def _unreliable(self, deliver):
        def pass_on(sender, message, asking):
            copies = 0 if self.rng.random() < self.loss else 1 + (self.rng.random() < self.doubling)
            for copy in range(copies):
                self.rig.world.after(copy * self.rng.uniform(0, 0.3), deliver, sender, message, asking)

        return pass_on

    @rule(down=st.sets(st.integers(0, 9), max_size=5), loss=st.sampled_from([0.0, 0.0, 0.1, 0.3]))
    def weather_changes(self, down, loss):
        self.weather = down, loss

    def _storm(self, *, strikes=True):
        """Let the weather strike, or let all be well."""
        down, self.loss = self.weather if strikes else ((), 0.0)
        self.doubling = 2 * self.loss
        for number, machine in enumerate(self.rig.servers):
            machine.down = number in down
            machine.delay = self.rng.uniform(0.001, 0.05)

    @rule(edit=edits, client=clients)
    def one_edit(self, edit, client):
        self._storm()
        story = edit.story(self.rig.directories[client], self.roots)
        self._learn([(edit, self.rig.one(story, client))])

    @rule(first=edits, second=edits)
    def two_edits_at_once(self, first, second):
        self._storm()
        stories = [edit.story(self.rig.directories[who], self.roots) for who, edit in enumerate((first, second))]
        outcomes = self.rig.all(*stories)
        self._learn(list(zip((first, second), outcomes, strict=True)))

    @rule(edit=edits, client=clients, seconds=st.floats(0.001, 0.2))
    def a_client_dies_in_the_middle(self, edit, client, seconds):
        self._storm()
        self.rig.start_on(client, edit.story(self.rig.directories[client], self.roots))
        self.rig.wait(seconds)
        self.rig.world.end(self.rig.clients[client].life)
        self.rig.restart(client)
        self.rig.wait(2.0)
        self._learn([(edit, Indefinite(0, 7))])

    @rule(name=names, client=clients)
    def move_to_the_other(self, name, client):
        self._storm()
        outcome = self.rig.one(self.rig.directories[client].move(self.roots[0], name, self.roots[1], name), client)
        assert outcome is None or isinstance(outcome, TahoeError), repr(outcome)
        link, unlink = Copy(name), Remove(0, name)
        self._learn([(link, outcome if outcome is None else Indefinite(0, 7))])
        self._learn([(unlink, outcome if outcome is None else Indefinite(0, 7))])

    def _learn(self, outcomes):
        """Every order of what was made, with whatever may have been made or come in between."""
        for _, outcome in outcomes:
            assert outcome is None or isinstance(outcome, (*DEFINITE, Indefinite)), repr(outcome)
        made = [edit for edit, outcome in outcomes if outcome is None]
        doubtful = tuple(edit for edit, outcome in outcomes if isinstance(outcome, Indefinite))
        states = []
        for state, pending in self.states:
            for after in _possible(state, made, pending + doubtful):
                if after not in states:
                    states.append(after)
        self.states = states

    def _settle(self):
        """A write of each that all servers take: nothing is left of what was merged by nobody."""
        self._storm(strikes=False)
        self.rig.wait(3.0)
        for root in self.roots:
            self.rig.do(self.rig.directories[0].set_children(root, {"settled": child(0)}))
            self.rig.do(self.rig.directories[1].unlink(root, "settled"), 1)

    @invariant()
    def what_is_read_may_be(self):
        if not hasattr(self, "roots"):
            return
        assert self.states, "no order of the acknowledged edits makes sense"
        is_doubtful = any(len(pending) > 1 for _, pending in self.states)
        if is_doubtful:
            self._settle()
            self._learn([])
        self._storm(strikes=False)
        found = {}
        for root in ROOTS:
            listing = self.rig.do(self.rig.directories[1].list(self.roots[root]), 1)
            found |= {(root, name): entry.capability.size - 1000 for name, entry in listing.items()}
        possible = [(state, () if is_doubtful else pending) for state, pending in self.states if state == found]
        assert possible, f"{found} is none of {self.states}"
        self.states = possible


def _possible(state, made, pending):
    """The states, with what is still pending, after these edits in any order with any of those that are pending."""
    yield from ([(state, pending)] if not made else [])
    for index, edit in enumerate(made):
        after = edit.apply(state)
        if after is not None:
            yield from _possible(after, made[:index] + made[index + 1 :], pending)
    for index, edit in enumerate(pending):
        after = edit.apply(state)
        if after is not None:
            yield from _possible(after, made, pending[:index] + pending[index + 1 :])


Friends.TestCase.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestFriends = Friends.TestCase
