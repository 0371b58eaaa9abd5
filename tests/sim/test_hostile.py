"""Hostile servers and a hostile broker against slots and directories: they can refuse, and nothing else."""

from __future__ import annotations

import pytest

from tahoe.actors.directories import NewChild
from tahoe.actors.slotterms import SlotTerms
from tahoe.codec.capability import ImmutableRead
from tahoe.errors import RolledBack, TahoeError
from tahoe.protocol import CLIENT, MEMBER, Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.faults import Byzantine, Rumour, Scheduled
from tahoe.sim.grid import SimGrid
from tahoe.sim.lies import ALL_LIES
from tahoe.sim.oracles import SlotWatch

HARMLESS = ("wrong-block", "junk-blocks", "wrong-chain", "other-share", "enormous", "drip", "forges")
"""Lies that cost a share or time. Three liars of ten leave a quorum that is honest."""


def file(number: int) -> NewChild:
    return NewChild(ImmutableRead(number.to_bytes(16, "big"), bytes(32), 3, 10, 1000 + number))


def client(grid: SimGrid, number: int = 0):
    return grid.clients[number].actor(CLIENT)


def names(grid: SimGrid, directory, number: int = 0) -> list[str]:
    return list(grid.run(client(grid, number).directories.list(directory), number))


def corrupt(grid: SimGrid, lie: str, servers: range) -> None:
    grid.apply(tuple(Scheduled(0.0, Byzantine(f"server-{number}", lie)) for number in servers))
    grid.run(0.1)


@pytest.mark.parametrize("lie", HARMLESS)
def test_with_three_liars_of_ten_everything_is_made_changed_and_read_as_it_was_written(lie):
    grid = SimGrid(1, clients=2, options=GridOptions("message"))
    watch = SlotWatch(grid)
    slot = grid.run(client(grid).slots.create(b"first " * 3000))
    root = grid.run(client(grid).directories.create({"before": file(1)}))
    corrupt(grid, lie, range(3))
    grid.run(client(grid, 1).slots.update(slot, 3, b"!"), 1)
    grid.run(client(grid).directories.set_children(root, {"after": file(2)}))
    grid.run(client(grid, 1).directories.rename(root, "before", "long before"), 1)
    assert grid.run(client(grid).slots.read(slot)).data == b"fir!t " + b"first " * 2999
    assert names(grid, root) == names(grid, root, 1) == ["after", "long before"]
    grid.run(60.0)
    watch.look(may_lose=False)


@pytest.mark.parametrize("lie", ALL_LIES)
def test_ten_liars_of_ten_make_nobody_believe_what_was_never_written(lie):
    grid = SimGrid(2, clients=2, options=GridOptions("message"))
    slot = grid.run(client(grid).slots.create(b"one"))
    root = grid.run(client(grid).directories.create({"one": file(1)}))
    corrupt(grid, lie, range(10))
    contents, listings = [b"one"], [["one"]]
    for word in (b"two", b"three"):
        try:
            grid.run(client(grid).slots.overwrite(slot, word))
            grid.run(client(grid).directories.set_children(root, {word.decode(): file(2)}))
        except TahoeError:
            pass
        contents.append(word)
    listings += [["one", "two"], ["one", "three"], ["one", "three", "two"]]
    for number in range(2):
        try:
            assert grid.run(client(grid, number).slots.read(slot), number).data in contents
            assert names(grid, root, number) in listings
        except TahoeError:
            continue


def test_servers_that_roll_a_directory_back_are_found_out_by_who_has_seen_more():
    grid = SimGrid(3, clients=2, options=GridOptions("message"))
    root = grid.run(client(grid).directories.create({"one": file(1)}))
    corrupt(grid, "old-version", range(10))
    names(grid, root, 1)
    grid.run(client(grid).directories.set_children(root, {"two": file(2)}))
    grid.run(30.0)
    with pytest.raises(RolledBack):
        names(grid, root)


def test_a_forger_who_hears_every_change_gets_none_of_its_own_taken():
    grid = SimGrid(4, clients=1, options=GridOptions("message"))
    root = grid.run(client(grid).directories.create())
    corrupt(grid, "forges", range(1))
    signed = {}
    watch = SlotWatch(grid)
    for number in range(4):
        grid.run(client(grid).directories.set_children(root, {f"{number}": file(number)}))
        grid.run(20.0)
        watch.look(may_lose=False)
        held = client(grid).slots.held(root.file.storage_index)
        signed[held.version.identity.sequence] = held.version.root_hash
    for disk in grid.fleet.disks.values():
        for share in disk.slots.numbers(root.file.storage_index):
            version = disk.slots.head(root.file.storage_index, share).version
            assert signed[version.sequence] == version.root_hash, "only what the client made is anywhere"


class HostileBroker:
    """Keeps every packet, and sends all of them again: as they were, to others, cut, and with bits flipped."""

    def __init__(self, grid: SimGrid) -> None:
        self._grid = grid
        self._send = grid.network.send
        self.kept = []
        grid.network.send = self.send

    def send(self, way, channel, packet, size) -> None:
        self.kept.append((way, channel, packet, size))
        self._send(way, channel, packet, size)

    def replay(self) -> None:
        ways = [way for way, *_ in self.kept]
        for number, (way, channel, packet, size) in enumerate(list(self.kept)):
            place = number * 7 % size
            flipped = packet[:place] + bytes([packet[place] ^ 1 << number % 8]) + packet[place + 1 :]
            self._send(way, channel, packet, size)
            self._send(way, channel, flipped, size)
            self._send(ways[number * 13 % len(ways)], channel, packet, size)
            self._send(way, channel, packet[: size // 2], size // 2)


def test_a_hostile_broker_changes_nothing_whatever_it_repeats_and_bends():
    grid = SimGrid(5, servers=5, clients=2, options=GridOptions())
    broker = HostileBroker(grid)
    root = grid.run(client(grid).directories.create({"one": file(1)}))
    grid.run(client(grid).directories.set_children(root, {"two": file(2)}))
    grid.run(client(grid).directories.unlink(root, "one"))
    grid.run(1.0)
    carried = _carried(grid, root)
    for _ in range(2):
        broker.replay()
        grid.run(30.0)
        assert _carried(grid, root) == carried
    assert names(grid, root) == names(grid, root, 1) == ["two"]
    grid.run(client(grid, 1).directories.set_children(root, {"three": file(3)}), 1)
    assert names(grid, root) == ["three", "two"]


def _carried(grid: SimGrid, root) -> list:
    index = root.file.storage_index
    return [
        [disk.slots.head(index, number).version.identity for number in disk.slots.numbers(index)]
        for disk in grid.fleet.disks.values()
    ]


def test_a_flood_of_made_up_servers_keeps_nobody_from_those_that_are_there():
    encoding = Encoding(2, 3, 4)
    slots = SlotTerms(2, 4)
    grid = SimGrid(3, servers=4, clients=1, options=GridOptions("message", encoding=encoding, slots=slots))
    grid.apply(tuple(Scheduled(0.0, Rumour("server-0", "fake", number)) for number in range(10)))
    grid.run(10.0)
    assert len(grid.clients[0].actor(MEMBER).servers()) > 200
    real = {node.name for node in grid.servers}
    began = grid.world.now()
    for number in range(5):
        file = grid.run(grid.store(b"%d" % number * 1000))
        assert set(file.homes.values()) <= real
        assert grid.download(str(file.capability)) == b"%d" % number * 1000
        slot = grid.run(client(grid).slots.create(b"contents"))
        assert grid.run(client(grid).slots.read(slot)).data == b"contents"
    assert grid.world.now() - began < 10.0, "nobody waits for servers that there are not"
