"""Manifests: the verify caps of everything below a directory, in a slot that a caretaker elsewhere may read.

Who holds a directory's verify cap can't list its children. So the owner's client writes down what there is, and gives the
caretaker the read cap of that: it can look after every object, and learns nothing but how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable

from tahoe.actors.keeper import Target
from tahoe.actors.slots import Slots
from tahoe.codec.capability import Capability, ImmutableVerify, SlotRead, SlotVerify, SlotWrite, parse
from tahoe.errors import BadCapability

HEAD = "tahoe manifest 1"
TAIL = "end"


def pack_manifest(targets: Iterable[Target]) -> bytes:
    """A head, a verify cap a line in order, and their number."""
    lines = sorted(map(str, targets))
    return "\n".join([HEAD, *lines, f"{TAIL} {len(lines)}", ""]).encode()


def unpack_manifest(data: bytes) -> list[Target]:
    """The objects that a manifest names.

    Raises:
        BadCapability: it is none, or not whole.
    """
    lines = data.decode("utf-8", "replace").splitlines()
    if len(lines) < 2 or lines[0] != HEAD or lines[-1] != f"{TAIL} {len(lines) - 2}":
        raise BadCapability("this slot holds no manifest, or not all of one: its owner may be writing it just now")
    found: list[Target] = []
    for line in lines[1:-1]:
        capability = parse(line)
        if not isinstance(capability, (ImmutableVerify, SlotVerify)):
            raise BadCapability("a manifest holds verify capabilities only")
        capability.check_served()
        found.append(capability)
    return found


async def create_manifest(slots: Slots, targets: Iterable[Target]) -> SlotWrite:
    """Make the slot of a new manifest."""
    return await slots.create(pack_manifest(targets))


async def write_manifest(slots: Slots, slot: SlotWrite, targets: Iterable[Target]) -> None:
    """Bring a manifest up to date; one that is so already is left alone."""
    contents = pack_manifest(targets)
    if (await slots.read(slot)).data != contents:
        await slots.overwrite(slot, contents)


async def read_manifest(slots: Slots, slot: Capability) -> list[Target]:
    """Read a manifest.

    Raises:
        BadCapability: the slot holds none.
        NotEnoughShares: it can't be read now.
    """
    if not isinstance(slot, (SlotRead, SlotWrite)):
        raise BadCapability("a manifest is a slot; give its read capability")
    return unpack_manifest((await slots.read(slot)).data)
