"""Named roots: signed by the grid key, kept by vdrives and clients, and out of everybody else's power."""

from __future__ import annotations

import pytest

from tahoe.actors.directories import NewChild
from tahoe.actors.roots import GLOBAL_ROOT, MOST_ROOTS, RootBook, publish_root
from tahoe.codec.capability import Directory, Literal, SlotWrite
from tahoe.errors import BadConfiguration, BadMessage, NoSuchRoot, Refused
from tahoe.protocol import CLIENT, MEMBER, VDRIVE, Address, Encoding, ResolvePath, ShareRoots
from tahoe.session.identity import GridKey
from tahoe.session.statement import GridStatement, sign_statement
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid
from tests.actors.rig import Rig

KEY = GridKey.from_seed(bytes(32))
STRANGER = GridKey.from_seed(b"s" * 32)
SOME = Directory(SlotWrite(b"a" * 32))
OTHER = Directory(SlotWrite(b"b" * 32))


class Drive:
    """A simulated grid with vdrives, and the key of its owner."""

    def __init__(self, vdrives: int = 1, clients: int = 2, introducers: int = 1) -> None:
        options = GridOptions(
            fidelity="message",
            vdrives=vdrives,
            encoding=Encoding(1, 1, 3),
            introducers=introducers,
            acquainted=not introducers,
        )
        self.grid = SimGrid(1, servers=3, clients=clients, options=options)
        self.key = GridKey.from_seed(self.grid.world.random("grid").randbytes(32))
        self.grid.run(5.0)

    def client(self, number: int = 0):
        return self.grid.clients[number].actor(CLIENT)

    def vdrive(self, number: int = 0):
        return self.grid.node(f"vdrive-{number}").actor(VDRIVE)

    def run(self, story, client: int = 0):
        return self.grid.run(story, client)

    def publish(self, name: str = GLOBAL_ROOT, sequence: int = 1, key: GridKey | None = None) -> Directory:
        """Make a directory and publish it."""
        root = self.run(self.client().directories.create())
        self.run(self.client().roots.publish(publish_root(key or self.key, name, sequence, root)))
        return root

    def resolve(self, root: str, *path: str):
        address = Address(self.grid.node("vdrive-0").name, VDRIVE)
        return self.run(self.client(1).ctx.ask(address, ResolvePath(root, path), timeout=20.0), 1)


@pytest.fixture
def drive():
    return Drive()


# --- what counts -------------------------------------------------------------------------------------------


class Book:
    """A book of roots in a world of its own."""

    def __init__(self) -> None:
        self.rig = Rig(servers=0)
        self.book = RootBook(self.rig.ctx, KEY.public_key)

    def learn(self, *statements) -> bool:
        return self.rig.run(self.book.learn(statements))

    def reopened(self) -> RootBook:
        again = RootBook(self.rig.ctx, KEY.public_key)
        self.rig.run(again.load())
        return again


def test_of_two_statements_about_a_root_the_one_with_the_higher_number_counts():
    book = Book()
    assert book.learn(publish_root(KEY, "global", 2, SOME))
    assert not book.learn(publish_root(KEY, "global", 1, OTHER), publish_root(KEY, "global", 2, OTHER))
    assert book.book.roots() == {"global": SOME}
    assert book.learn(publish_root(KEY, "global", 3, OTHER))
    assert book.reopened().roots() == {"global": OTHER}


def test_what_was_retracted_does_not_come_back():
    book = Book()
    old = publish_root(KEY, "global", 1, SOME)
    book.learn(old, publish_root(KEY, "global", 2, None))
    assert not book.learn(old)
    again = book.reopened()
    assert again.roots() == {}
    assert again.sequence("global") == 2
    assert (again.sequence("unheard of"), len(again.statements())) == (0, 1)


@pytest.mark.parametrize(
    "statement",
    [
        publish_root(STRANGER, "global", 9, SOME),
        publish_root(KEY, "global", 9, SOME)[:-1] + b"x",
        sign_statement(KEY, GridStatement("encoding", 9, b"")),
        publish_root(KEY, "x" * 5000, 9, SOME),
        b"junk",
    ],
    ids=["another key", "a bit flipped", "not about a root", "too long", "junk"],
)
def test_nothing_else_makes_a_root(statement):
    book = Book()
    assert not book.learn(statement)
    assert book.book.statements() == ()


def test_a_book_has_an_end():
    book = Book()
    book.learn(*(publish_root(KEY, f"{number}", 1, SOME) for number in range(MOST_ROOTS + 1)))
    assert len(book.book.roots()) == MOST_ROOTS
    assert book.learn(publish_root(KEY, "0", 2, OTHER)), "what is known can still be replaced"


# --- in a grid -----------------------------------------------------------------------------------------------


def test_a_published_root_is_found_by_clients_who_come_later_and_they_share_it(drive):
    root = drive.publish()
    assert drive.run(drive.client(1).roots.find(GLOBAL_ROOT), 1) == root
    drive.run(drive.client(1).directories.set_children(root, {"theirs": NewChild(Literal(b"1"))}), 1)
    assert list(drive.run(drive.client(0).directories.list(root))) == ["theirs"]


def test_a_client_who_has_seen_a_root_needs_no_vdrive_not_even_after_a_restart(drive):
    root = drive.publish()
    drive.run(drive.client(1).roots.find(GLOBAL_ROOT), 1)
    drive.grid.crash("vdrive-0", "client-1", "introducer-0")
    drive.grid.restart("client-1")
    drive.grid.run(5.0)
    assert drive.run(drive.client(1).roots.find(GLOBAL_ROOT), 1) == root
    drive.run(drive.client(1).directories.mkdir(root, "still works"), 1)


@pytest.mark.parametrize("power", [False, True])
def test_a_vdrive_keeps_its_roots_however_it_ends(drive, power):
    root = drive.publish()
    drive.grid.crash("vdrive-0", power=power)
    drive.grid.restart("vdrive-0")
    drive.grid.run(2.0)
    assert drive.vdrive().book.roots() == {GLOBAL_ROOT: root}


def test_a_second_vdrive_copies_what_it_is_told_and_serves_when_the_first_is_down():
    drive = Drive(vdrives=2)
    drive.grid.crash("vdrive-1")
    root = drive.publish()
    drive.grid.restart("vdrive-1")
    drive.grid.run(150.0)
    assert drive.vdrive(1).book.roots() == {GLOBAL_ROOT: root}
    drive.grid.crash("vdrive-0", "introducer-0")
    assert drive.run(drive.client(1).roots.find(GLOBAL_ROOT), 1) == root


def test_introducers_pass_roots_on_where_there_is_no_vdrive():
    drive = Drive(vdrives=0)
    root = drive.publish()
    with pytest.raises(NoSuchRoot):
        drive.run(drive.client(1).roots.find("other"), 1)
    drive.grid.run(130.0)
    assert drive.run(drive.client(1).roots.find(GLOBAL_ROOT), 1) == root


def test_a_replaced_root_reaches_everybody_and_a_retracted_one_is_gone(drive):
    drive.publish()
    second = drive.publish(sequence=2)
    drive.run(drive.client(1).roots.refresh(), 1)
    assert drive.run(drive.client(1).roots.find(GLOBAL_ROOT), 1) == second
    drive.run(drive.client().roots.publish(publish_root(drive.key, GLOBAL_ROOT, 3, None)))
    drive.run(drive.client(1).roots.refresh(), 1)
    for client in (0, 1):
        with pytest.raises(NoSuchRoot, match="global"):
            drive.run(drive.client(client).roots.find(GLOBAL_ROOT), client)


def test_nobody_without_the_grid_key_makes_replaces_or_brings_back_a_root(drive):
    root = drive.publish(sequence=2)
    old = publish_root(drive.key, GLOBAL_ROOT, 1, SOME)
    forged = publish_root(STRANGER, GLOBAL_ROOT, 9, SOME)
    address = Address(drive.grid.node("vdrive-0").name, VDRIVE)
    drive.run(drive.client(1).ctx.ask(address, ShareRoots((old, forged, b"junk")), timeout=5.0), 1)
    assert drive.vdrive().book.roots() == {GLOBAL_ROOT: root}
    with pytest.raises(BadMessage):
        drive.run(drive.client(1).roots.publish(forged), 1)
    drive.run(drive.client(1).roots.publish(old), 1)
    assert drive.run(drive.client(1).roots.find(GLOBAL_ROOT), 1) == root


def test_publishing_tells_which_vdrives_have_it():
    drive = Drive(vdrives=2)
    drive.grid.crash("vdrive-1")
    signed = publish_root(drive.key, GLOBAL_ROOT, 1, SOME)
    assert drive.run(drive.client().roots.publish(signed)) == (drive.grid.node("vdrive-0").name,)


def test_a_vdrive_resolves_paths_for_those_who_ask_only_for_that(drive):
    root = drive.publish()
    directories = drive.client().directories
    deep = drive.run(directories.make_path(root, ["a", "b"]))
    drive.run(directories.set_children(deep, {"file": NewChild(Literal(b"1"))}))
    assert drive.resolve(GLOBAL_ROOT).capability == str(root)
    assert drive.resolve(GLOBAL_ROOT, "a", "b").capability == str(deep)
    assert drive.resolve(GLOBAL_ROOT, "a", "b", "file").capability == "URI:LIT:ge"
    for path, code in (
        (("other",), "NoSuchRoot"),
        ((GLOBAL_ROOT, "x"), "NoSuchChild"),
        ((GLOBAL_ROOT, *(["a"] * 300)), "bad-request"),
    ):
        with pytest.raises(Refused) as caught:
            drive.resolve(*path)
        assert caught.value.code == code


def test_what_a_read_only_root_leads_to_is_read_only(drive):
    root = drive.publish()
    drive.run(drive.client().directories.mkdir(root, "below"))
    drive.run(drive.client().roots.publish(publish_root(drive.key, "shown", 1, root.read_only())))
    assert drive.resolve("shown", "below").capability.startswith("URI:DIR3-RO:")


# --- private roots -------------------------------------------------------------------------------------------


def test_every_client_makes_a_private_root_on_first_use_and_keeps_it(drive):
    first = drive.run(drive.client(0).roots.private())
    assert first.writeable
    assert drive.run(drive.client(1).roots.private(), 1) != first
    drive.grid.restart("client-0")
    drive.grid.run(5.0)
    assert drive.run(drive.client(0).roots.private()) == first


def test_two_who_use_the_private_root_first_use_the_same(drive):
    promises = [drive.grid.clients[0].observe(drive.client().roots.private()) for _ in range(3)]
    assert len({str(drive.grid.run(promise)) for promise in promises}) == 1


def test_a_private_root_that_is_no_capability_is_told(drive):
    drive.grid.clients[0].state[f"{CLIENT}/root.cap"] = b"URI:LIT:"
    with pytest.raises(BadConfiguration):
        drive.run(drive.client().roots.private())


def test_the_members_of_a_grid_hear_who_the_vdrives_are(drive):
    announced = drive.grid.clients[0].actor(MEMBER).announcements()
    assert [each.nickname for each in announced if VDRIVE in each.roles] == ["vdrive-0"]
