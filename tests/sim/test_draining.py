"""A storage server that is about to leave: what it has gets elsewhere, in good order, and it says when it may go."""

from __future__ import annotations

from random import Random

import pytest

from tahoe.actors.children import NewChild
from tahoe.actors.drainer import Drainer
from tahoe.actors.storage import Upkeep
from tahoe.actors.terms import Limits
from tahoe.codec.capability import parse
from tahoe.protocol import CLIENT, DRAINER, MEMBER, STORAGE
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid

LEAVER = "server-3"
NOW, LATER = 0.0, 1e12


def content(number, size=20_000):
    return bytes([number % 251]) * size


def grid_of(fidelity="message", servers=12, **options):
    grid = SimGrid(
        5,
        servers=servers,
        options=GridOptions(fidelity=fidelity, limits=Limits(segment=30_000), upkeep=Upkeep(0, 0, 0), **options),
    )
    grid.run(30.0)
    return grid


def drainer_on(grid, notice=NOW, message=None):
    """The drainer of the server that leaves, not looking by itself."""
    node = grid.node(LEAVER)
    drainer = Drainer(
        node.running.context(DRAINER),
        node.actor(MEMBER),
        node.actor(STORAGE),
        Limits() if message is None else Limits(message=message),
        lambda: notice,
    )
    grid.run(node.observe(drainer.start()))
    return drainer


def look(grid, drainer):
    grid.run(grid.node(LEAVER).observe(drainer.look()))
    return drainer.last


def plant(grid, files=12, size=20_000):
    """Files and a directory of them, the cap of which comes first."""
    client = grid.clients[0].actor(CLIENT)
    caps = [parse(grid.upload(content(number, size))) for number in range(files)]
    root = grid.run(client.directories.create({f"{number}": NewChild(cap) for number, cap in enumerate(caps)}))
    return root, caps


def on(grid, name, cap):
    """Share numbers of a file that a server has."""
    return set(grid.fleet.disks[name].store.shares(cap.storage_index))


def present(grid, cap):
    names = [name for name in grid.fleet.disks if name != LEAVER]
    return set().union(*(on(grid, name, cap) for name in names))


@pytest.mark.parametrize(("fidelity", "size"), [("wire", 20_000), ("message", 20_000), ("message", 2_000_000)])
def test_all_that_a_leaving_server_has_is_copied_elsewhere_files_and_slots(fidelity, size):
    grid = grid_of(fidelity)
    root, caps = plant(grid, 12 if size < 100_000 else 2, size)
    had = [cap for cap in caps if on(grid, LEAVER, cap)]
    drainer = drainer_on(grid)
    found = look(grid, drainer)
    assert had
    assert found.done
    assert found.copied == found.shares >= len(had)
    assert all(present(grid, cap) == set(range(10)) for cap in caps)
    grid.crash(LEAVER)
    listing = grid.run(grid.clients[0].actor(CLIENT).directories.list(root))
    assert len(listing) == len(caps)
    again = [name for name in grid.fleet.disks if name != LEAVER and len(on(grid, name, had[0])) > 1]
    assert not again, "a server had two shares of a file while another had none"


def test_owners_have_their_time_before_anything_is_copied():
    grid = grid_of()
    _, caps = plant(grid)
    drainer = drainer_on(grid, LATER)
    found = look(grid, drainer)
    assert found.left == found.shares > 0
    assert not found.copied
    assert not found.done
    assert any(len(present(grid, cap)) < 10 for cap in caps)


def test_what_is_elsewhere_is_not_copied_again_and_a_slot_that_is_written_meanwhile_is():
    grid = grid_of()
    slots, store = grid.clients[0].actor(CLIENT).slots, grid.fleet.disks[LEAVER].slots
    made = [grid.run(slots.create(b"first")) for _ in range(4)]
    slot = next(each for each in made if store.numbers(each.writer.reader.storage_index))
    drainer = drainer_on(grid)
    first = look(grid, drainer)
    second = look(grid, drainer)
    assert second.done
    assert (second.copied, second.bytes) == (first.copied, first.bytes)
    grid.run(slots.overwrite(slot, b"second"))
    third = look(grid, drainer)
    assert third.done
    assert third.copied - second.copied == 1
    others = [name for name in grid.fleet.disks if name != LEAVER]
    heads = [
        grid.fleet.disks[name].slots.head(slot.writer.reader.storage_index, number)
        for name in others
        for number in grid.fleet.disks[name].slots.numbers(slot.writer.reader.storage_index)
    ]
    assert len(heads) == 10
    assert {head.version.sequence for head in heads} == {2}


def test_a_share_of_a_slot_that_fits_no_message_is_sent_in_parts():
    grid = grid_of(servers=10)
    slots = grid.clients[0].actor(CLIENT).slots
    contents = Random(1).randbytes(300_000)
    slot = grid.run(slots.create(contents, 6_000))
    grid.crash("server-5")
    grid.restart("server-5", empty_disk=True)
    grid.run(30.0)
    found = look(grid, drainer_on(grid, message=20_000))
    assert found.done, found
    assert found.bytes > 90_000
    grid.crash(LEAVER)
    assert grid.run(slots.read(slot)).data == contents
    assert grid.run(slots.read(slot)).may_be_stale is False


def test_a_share_that_is_corrupt_is_not_spread_and_keeps_nobody_from_leaving():
    grid = grid_of()
    _, caps = plant(grid)
    cap = next(cap for cap in caps if on(grid, LEAVER, cap))
    (number,) = on(grid, LEAVER, cap)
    server = grid.node(LEAVER).actor(STORAGE)
    truth = server.store.read

    def rotten(index, which, offset, length):
        data = bytearray(truth(index, which, offset, length))
        if (index, which) == (cap.storage_index, number) and offset <= 2000 < offset + len(data):
            data[2000 - offset] ^= 1
        return bytes(data)

    server.store.read = rotten
    found = look(grid, drainer_on(grid))
    assert found.spoilt == 1
    assert found.done
    assert number not in present(grid, cap)


def test_as_long_as_nobody_takes_a_share_it_is_not_done_and_says_why():
    grid = grid_of()
    plant(grid)
    others = [name for name in grid.fleet.disks if name != LEAVER]
    grid.crash(*others)
    grid.run(30.0)
    drainer = drainer_on(grid)
    found = look(grid, drainer)
    assert found.left == found.shares > 0
    assert "nobody else is in reach" in found.trouble
    grid.restart(*others)
    grid.run(60.0)
    assert look(grid, drainer).done


@pytest.mark.parametrize("after", [0.01, 0.05, 0.2, 0.5])
def test_a_server_that_dies_while_it_drains_goes_on_when_it_is_back(after):
    grid = grid_of()
    _, caps = plant(grid)
    grid.node(LEAVER).observe(drainer_on(grid).look())
    grid.run(after)
    grid.crash(LEAVER, power=True)
    grid.run(5.0)
    grid.restart(LEAVER)
    grid.run(30.0)
    found = look(grid, drainer_on(grid))
    assert found.done
    assert all(present(grid, cap) == set(range(10)) for cap in caps)
