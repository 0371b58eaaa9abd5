"""Whether everything that clients were told can be true together.

Clients change and read *registers* (a name in a directory, a region of a slot) at the same time. What each was told
is an *entry*: a few steps, when it was begun, when it ended, and how. The whole is in order (linearizable) if the
steps can be put into one row such that

* an entry that ended before another began stands before it,
* every step of an entry that was acknowledged stands in the row and could do what it says there: a name that was
  taken out was there, a value that was seen is the last one put,
* of an entry whose outcome nobody knows a beginning stands in the row, or nothing, at any time after it began.

Whoever was refused for what is there (``ChildExists``, ``NoSuchChild``) has *seen* it, which is an entry, too; whoever was
refused for other reasons has done nothing and has no entry.

The search is that of Wing and Gong (Testing and verifying concurrent objects, 1993) with Lowe's memory of states, made
short by three facts: registers that no entry connects can be looked at one after the other; a reading that
fits may be put into the row at once; and an unknown outcome has to be tried only where something depends on it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple, Protocol, TypeAlias

Key: TypeAlias = tuple[Hashable, ...]
Value: TypeAlias = Hashable

MOST_STATES = 30_000
"""After so many states the search gives up: the history is too tangled to be judged."""


class Undecided(Exception):  # nothing went wrong: there is no verdict
    """The search was given up."""


State: TypeAlias = Mapping[Key, Value]


class After(NamedTuple):
    """What a step leaves behind: the registers, and what its entry carries to its next steps."""

    state: State
    carried: Value


class Step(Protocol):
    """One thing that happens at one moment."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """The registers that it touches."""

    def take(self, state: State, carried: Value) -> After | None:
        """Let it happen; None: it can't, in this state."""


class Put(NamedTuple):
    """A register gets a value; with ``only_new`` it must have had none."""

    key: Key
    value: Value
    only_new: bool = False

    @property
    def keys(self) -> tuple[Key, ...]:
        """See ``Step``."""
        return (self.key,)

    def take(self, state: State, carried: Value) -> After | None:
        """See ``Step``."""
        return None if self.only_new and self.key in state else After({**state, self.key: self.value}, carried)


class Take(NamedTuple):
    """A register that has a value loses it."""

    key: Key

    @property
    def keys(self) -> tuple[Key, ...]:
        """See ``Step``."""
        return (self.key,)

    def take(self, state: State, carried: Value) -> After | None:
        """See ``Step``."""
        return After(_without(state, self.key), carried) if self.key in state else None


class Shift(NamedTuple):
    """The value of one register goes to another, at one stroke."""

    old: Key
    new: Key
    only_new: bool

    @property
    def keys(self) -> tuple[Key, ...]:
        """See ``Step``."""
        return (self.old, self.new)

    def take(self, state: State, carried: Value) -> After | None:
        """See ``Step``."""
        if self.old not in state:
            return None
        if self.old == self.new:
            return After(state, carried)
        if self.only_new and self.new in state:
            return None
        return After({**_without(state, self.old), self.new: state[self.old]}, carried)


class Load(NamedTuple):
    """A register that has a value is read, and the value carried on."""

    key: Key

    @property
    def keys(self) -> tuple[Key, ...]:
        """See ``Step``."""
        return (self.key,)

    def take(self, state: State, carried: Value) -> After | None:
        """See ``Step``."""
        return After(state, state[self.key]) if self.key in state else None


class Store(NamedTuple):
    """What is carried is put down. With ``only_new`` nothing else may be there."""

    key: Key
    only_new: bool

    @property
    def keys(self) -> tuple[Key, ...]:
        """See ``Step``."""
        return (self.key,)

    def take(self, state: State, carried: Value) -> After | None:
        """See ``Step``."""
        if self.only_new and state.get(self.key, carried) != carried:
            return None
        return After({**state, self.key: carried}, carried)


class Drop(NamedTuple):
    """A register loses what is carried; if it has anything else by now, that stays."""

    key: Key

    @property
    def keys(self) -> tuple[Key, ...]:
        """See ``Step``."""
        return (self.key,)

    def take(self, state: State, carried: Value) -> After | None:
        """See ``Step``."""
        return After(_without(state, self.key) if state.get(self.key) == carried else state, carried)


class See(NamedTuple):
    """A register has this value (None: no value)."""

    key: Key
    value: Value

    @property
    def keys(self) -> tuple[Key, ...]:
        """See ``Step``."""
        return (self.key,)

    def take(self, state: State, carried: Value) -> After | None:
        """See ``Step``."""
        return After(state, carried) if state.get(self.key) == self.value else None


class SeeAny(NamedTuple):
    """A register has some value."""

    key: Key

    @property
    def keys(self) -> tuple[Key, ...]:
        """See ``Step``."""
        return (self.key,)

    def take(self, state: State, carried: Value) -> After | None:
        """See ``Step``."""
        return After(state, carried) if self.key in state else None


READING = (See, SeeAny)


def _without(state: State, key: Key) -> State:
    return {each: value for each, value in state.items() if each != key}


@dataclass(slots=True, eq=False)
class Entry:
    """What a client did, and was told.

    Args:
        steps: in order.
        start: when it was begun, in seconds of the world.
        end: when it was acknowledged; infinite: nobody knows what came of it, or will.
    """

    steps: tuple[Step, ...]
    start: float
    end: float = inf

    @property
    def is_certain(self) -> bool:
        """Whether it was acknowledged."""
        return self.end < inf


@dataclass(slots=True)
class History:
    """All entries of a run."""

    entries: list[Entry] = field(default_factory=list)

    def begin(self, now: float, *steps: Step) -> Entry:
        """Something is begun; until more is heard nobody knows what comes of it."""
        entry = Entry(steps, now)
        self.entries.append(entry)
        return entry

    def saw(self, start: float, end: float, step: Step) -> None:
        """Something was seen between two moments."""
        self.entries.append(Entry((step,), start, end))

    def forget(self, entry: Entry) -> None:
        """It certainly did not happen."""
        self.entries.remove(entry)

    def flaw(self) -> list[Entry]:
        """Entries that can't all be true; empty: everything can.

        Raises:
            Undecided: too much happened at once.
        """
        for group in _connected(self.entries):
            if not _Search(group).succeeds():
                return sorted(group, key=lambda entry: entry.start)
        return []


def _connected(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """The entries in groups that have no register in common."""
    groups: dict[Key, list[Entry]] = {}
    for entry in entries:
        keys = dict.fromkeys(key for step in entry.steps for key in step.keys)
        together = {id(groups[key]): groups[key] for key in keys if key in groups}
        merged = [each for group in together.values() for each in group] + [entry]
        for each in merged:
            for step in each.steps:
                groups.update(dict.fromkeys(step.keys, merged))
    yield from {id(group): group for group in groups.values()}.values()


class _Node(NamedTuple):
    """Where a search is: steps taken of each entry, the registers, what each entry carries."""

    taken: tuple[int, ...]
    state: State
    carried: tuple[Value, ...]

    @property
    def name(self) -> Hashable:
        return self.taken, frozenset(self.state.items()), self.carried


class _Search:
    """Looks for a row of one group of entries."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = sorted(entries, key=lambda entry: (entry.end, entry.start))
        self._seen: set[Hashable] = set()

    def succeeds(self) -> bool:
        nothing = len(self._entries)
        waiting = [_Node((0,) * nothing, {}, (None,) * nothing)]
        while waiting:
            node = self._read_all(waiting.pop())
            if self._is_complete(node):
                return True
            if node.name in self._seen:
                continue
            self._seen.add(node.name)
            if len(self._seen) > MOST_STATES:
                raise Undecided
            waiting.extend(reversed(list(self._next(node))))
        return False

    def _is_complete(self, node: _Node) -> bool:
        return all(
            taken == len(entry.steps) or not entry.is_certain
            for entry, taken in zip(self._entries, node.taken, strict=True)
        )

    def _enabled(self, node: _Node) -> list[int]:
        """Entries whose next step may come now: nothing that ended before they began is still to come."""
        open_ends = (
            entry.end
            for entry, taken in zip(self._entries, node.taken, strict=True)
            if taken < len(entry.steps) and entry.is_certain
        )
        first_end = min(open_ends, default=inf)
        return [
            place
            for place, (entry, taken) in enumerate(zip(self._entries, node.taken, strict=True))
            if taken < len(entry.steps) and entry.start <= first_end
        ]

    def _read_all(self, node: _Node) -> _Node:
        """Take every reading that fits: nothing is lost by it."""
        while True:
            for place in self._enabled(node):
                step = self._entries[place].steps[node.taken[place]]
                if isinstance(step, READING) and step.take(node.state, None) is not None:
                    node = _stepped(node, place, After(node.state, node.carried[place]))
                    break
            else:
                return node

    def _next(self, node: _Node) -> Iterator[_Node]:
        """The nodes that one step leads to, certain entries first."""
        for place in self._enabled(node):
            step = self._entries[place].steps[node.taken[place]]
            after = None if isinstance(step, READING) else step.take(node.state, node.carried[place])
            if after is not None:
                yield _stepped(node, place, after)


def _stepped(node: _Node, place: int, after: After) -> _Node:
    taken = (*node.taken[:place], node.taken[place] + 1, *node.taken[place + 1 :])
    carried = (*node.carried[:place], after.carried, *node.carried[place + 1 :])
    return _Node(taken, after.state, carried)
