"""What clients do in a run of the swarm, as data: drawn before the world begins, saved and cut down apart from it.

Four kinds of work. *Files* are stored and read back. There are three *slots*, each used in a way of its own: one is
overwritten, one gets lines appended by a function of its contents, one is changed at offsets. And there is one *tree* of
directories, in which few names are fought over. And there is *keeping*: whatever is there is checked, verified, repaired and leased, and
backups are made.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from tahoe.sim.storm import STORM_SECONDS

LATE: Final = 1.5 * STORM_SECONDS
"""By then everybody has had a last look at the slots before the faults are over."""

NAMES: Final = ("a", "b", "c", "d", "e")
"""All names that any directory of the tree ever has."""

REGIONS: Final = 5
"""Regions of the slot that is changed at offsets."""


class Chore(msgspec.Struct, frozen=True, tag_field="kind"):
    """Something to do.

    Args:
        client: number of the client who does it.
        at: seconds after which it begins.
        number: tells it, and what it writes, from all others.
    """

    client: int
    at: float
    number: int


class StoreFile(Chore, frozen=True, tag="store-file"):
    """Store a file, and read it back. Files of equal content and size are equal; convergent ones get equal keys."""

    size: int
    content: int
    convergent: bool


class Overwrite(Chore, frozen=True, tag="overwrite"):
    """Replace all contents of the first slot."""

    size: int


class Append(Chore, frozen=True, tag="append"):
    """Add a line to the second slot."""


class Patch(Chore, frozen=True, tag="patch"):
    """Write a region of the third slot."""

    region: int


class ReadSlots(Chore, frozen=True, tag="read-slots"):
    """Read all three slots."""


class Link(Chore, frozen=True, tag="link"):
    """Link a file. Directories are counted in the order in which they come to be; the root is 0."""

    directory: int
    name: str
    only_new: bool


class Unlink(Chore, frozen=True, tag="unlink"):
    """Take a child out."""

    directory: int
    name: str


class Rename(Chore, frozen=True, tag="rename"):
    """Give a child another name."""

    directory: int
    name: str
    new: str
    only_new: bool


class Move(Chore, frozen=True, tag="move"):
    """Move a child to another directory."""

    directory: int
    name: str
    target: int
    new: str
    only_new: bool


class Mkdir(Chore, frozen=True, tag="mkdir"):
    """Make a directory in a directory."""

    directory: int
    name: str


class List(Chore, frozen=True, tag="list"):
    """List a directory."""

    directory: int


class WalkTree(Chore, frozen=True, tag="walk"):
    """Visit everything from the root down."""


KeepKind: TypeAlias = Literal["check", "verify", "repair", "lease"]


class Keep(Chore, frozen=True, tag="keep"):
    """Look after something that is there by then: ``place`` counts files, slots and directories, round and round."""

    what: KeepKind
    place: int


class Backup(Chore, frozen=True, tag="backup"):
    """Store some files and an immutable directory of them, link that in the root, and read it all back."""

    files: int
    name: str


KeepingChore: TypeAlias = Keep | Backup
TreeChore: TypeAlias = Link | Unlink | Rename | Move | Mkdir | List | WalkTree
SlotChore: TypeAlias = Overwrite | Append | Patch | ReadSlots
AnyChore: TypeAlias = StoreFile | SlotChore | TreeChore | KeepingChore
Chores: TypeAlias = tuple[AnyChore, ...]


def draw_chores(rng: Random, clients: int, segment: int) -> Chores:
    """The work of a seed: some kinds of it, not always all."""
    kinds = [kind for kind in ("files", "slots", "tree", "keeping") if rng.random() < 0.5] or ["files", "tree"]
    draw = _Draw(rng, clients, segment)
    chores: list[AnyChore] = []
    if "files" in kinds:
        chores += [draw.file() for _ in range(rng.randint(2, 8))]
    if "slots" in kinds:
        chores += [draw.slot_chore() for _ in range(rng.randint(4, 16))]
        chores += [draw.late_look(client) for client in range(clients)]
    if "tree" in kinds:
        chores += [draw.tree_chore() for _ in range(rng.randint(6, 24))]
    if "keeping" in kinds:
        chores += [draw.keeping_chore() for _ in range(rng.randint(2, 8))]
    return tuple(sorted(chores, key=lambda chore: chore.at))


TREE_KINDS: Final = (
    "link", "link", "link", "unlink", "unlink", "rename", "move", "move", "mkdir", "mkdir", "list", "walk",
)  # fmt: skip
TREE_TASTES: Final = (
    TREE_KINDS, TREE_KINDS, ("link", "move", "move", "list"), ("link", "link", "rename", "list"), ("link", "unlink", "list"),
)  # fmt: skip
"""What a seed likes to do in its tree; who does few things fights over them."""
SLOT_KINDS: Final = ("overwrite", "append", "append", "patch", "patch", "read")
SLOT_TASTES: Final = (
    SLOT_KINDS, SLOT_KINDS, ("overwrite", "read"), ("append", "append", "read"), ("patch", "patch", "patch", "read"),
)  # fmt: skip


class _Draw:
    """Draws chores that are told apart by their numbers.

    Work comes in bursts, short ones of which make races, or all through the storm. Each seed has few names, directories
    and sizes, so that clients meet.
    """

    def __init__(self, rng: Random, clients: int, segment: int) -> None:
        self._rng = rng
        self._clients = clients
        self._count = 0
        self._bursts = [0.0, *(rng.uniform(0.0, STORM_SECONDS) for _ in range(rng.choice((0, 2, 4))))]
        self._hurry = rng.choice((0.02, 0.1, 1.0, None))
        self._names = rng.sample(NAMES, rng.choice((2, 3, len(NAMES))))
        self._directories = rng.choice(((0,), (0, 1), (0, 0, 1, 2, 3)))
        self._tree_kinds = rng.choice(TREE_TASTES)
        self._slot_kinds = rng.choice(SLOT_TASTES)
        sizes = (0, 1, 55, 56, segment - 1, segment, segment + 1, rng.randint(57, 6 * segment))
        self._sizes = rng.sample(sizes, 3)

    def _facts(self) -> tuple[int, float, int]:
        self._count += 1
        return self._rng.randrange(self._clients), self._moment(), self._count

    def _moment(self) -> float:
        if self._hurry is None:
            return self._rng.uniform(0.0, STORM_SECONDS)
        return self._rng.choice(self._bursts) + self._rng.uniform(0.0, self._hurry)

    def late_look(self, client: int) -> ReadSlots:
        """Late in the storm, when much has gone wrong, everybody looks what there is."""
        _, _, number = self._facts()
        return ReadSlots(client, self._rng.uniform(STORM_SECONDS, LATE), number)

    def file(self) -> StoreFile:
        rng = self._rng
        return StoreFile(*self._facts(), rng.choice(self._sizes), rng.randrange(3), rng.random() < 0.7)

    def slot_chore(self) -> SlotChore:
        rng = self._rng
        match rng.choice(self._slot_kinds):
            case "overwrite":
                return Overwrite(*self._facts(), rng.choice((0, 1, 100, 1000, 3000)))
            case "append":
                return Append(*self._facts())
            case "patch":
                return Patch(*self._facts(), rng.randrange(REGIONS))
        return ReadSlots(*self._facts())

    def keeping_chore(self) -> KeepingChore:
        rng = self._rng
        if rng.random() < 0.3:
            return Backup(*self._facts(), rng.randint(1, 3), rng.choice(self._names))
        return Keep(*self._facts(), rng.choice(get_args(KeepKind)), rng.randrange(12))

    def tree_chore(self) -> TreeChore:
        rng = self._rng
        name, new = rng.choice(self._names), rng.choice(self._names)
        directory, target = rng.choice(self._directories), rng.choice((0, 1, 2))
        only_new = rng.random() < 0.5
        made: dict[str, Callable[[], TreeChore]] = {
            "link": lambda: Link(*self._facts(), directory, name, only_new),
            "unlink": lambda: Unlink(*self._facts(), directory, name),
            "rename": lambda: Rename(*self._facts(), directory, name, new, only_new),
            "move": lambda: Move(*self._facts(), directory, name, target, new, only_new),
            "mkdir": lambda: Mkdir(*self._facts(), directory, name),
            "list": lambda: List(*self._facts(), directory),
            "walk": lambda: WalkTree(*self._facts()),
        }
        return made[rng.choice(self._tree_kinds)]()
