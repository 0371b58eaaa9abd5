"""Whatever is done to them, the stores on disk and in memory answer the same."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tahoe.errors import NoSpace, Refused
from tahoe.storage.disk import DiskStore
from tahoe.storage.filesystem import VolatileFileSystem
from tahoe.storage.leaseindex import FILE, ShareName
from tahoe.storage.memory import MemoryStore
from tahoe.storage.store import StoreOptions
from tests.storage.samples import MINE, NOW, THEIRS, flipped, index, lease, share

LIMIT = 12_000
PLACES = st.integers(0, 2)
NUMBERS = st.integers(0, 2)
SECRETS = st.sampled_from([MINE, THEIRS])
SEEDS = st.integers(0, 2)


class Twins(RuleBasedStateMachine):
    """Does everything to both and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = VolatileFileSystem()
        self.options = StoreOptions(sizelimit=LIMIT)
        self.on_disk = DiskStore(self.disk, self.options, open_files=2).open()
        self.in_memory = MemoryStore(self.options)
        self.now = NOW

    def both(self, verb: str, *arguments) -> None:
        """Ask both; answers and refusals must be the same."""
        answers = []
        for store in (self.on_disk, self.in_memory):
            try:
                answers.append(getattr(store, verb)(*arguments))
            except (Refused, NoSpace) as error:
                answers.append((type(error), getattr(error, "code", "")))
        assert answers[0] == answers[1]

    @rule(place=PLACES, numbers=st.lists(NUMBERS, unique=True), seed=SEEDS, leased=SEEDS)
    def store(self, place, numbers, seed, leased):
        shares = {number: share(seed, number) for number in numbers}
        self.both("store", index(place), shares, lease(leased), self.now)

    @rule(place=PLACES, number=NUMBERS, seed=SEEDS, byte=st.integers(0, 300))
    def store_rotten(self, place, number, seed, byte):
        self.both("store", index(place), {number: flipped(share(seed, number), byte)}, lease(0), self.now)

    @rule(place=PLACES, secret=SECRETS, numbers=st.lists(NUMBERS), seed=SEEDS, leased=SEEDS)
    def allocate(self, place, secret, numbers, seed, leased):
        size = len(share(seed, 0)) + (seed == 2)
        self.both("allocate", index(place), secret, numbers, size, lease(leased), self.now)

    @rule(
        place=PLACES, secret=SECRETS, number=NUMBERS, seed=SEEDS, start=st.integers(0, 1100), length=st.integers(0, 900)
    )
    def write(self, place, secret, number, seed, start, length):
        data = share(seed, number)[start : start + length]
        self.both("write", index(place), secret, number, start, data, self.now)

    @rule(place=PLACES, secret=SECRETS, number=NUMBERS, seed=SEEDS)
    def write_all(self, place, secret, number, seed):
        self.both("write", index(place), secret, number, 0, share(seed, number), self.now)

    @rule(place=PLACES, secret=SECRETS, numbers=st.lists(NUMBERS))
    def close(self, place, secret, numbers):
        self.both("close", index(place), secret, numbers)

    @rule(place=PLACES, secret=SECRETS, numbers=st.lists(NUMBERS))
    def abort(self, place, secret, numbers):
        self.both("abort", index(place), secret, numbers)

    @rule(seconds=st.integers(0, 100))
    def time_passes(self, seconds):
        self.now += seconds
        self.both("abort_idle", self.now, 90.0)

    @rule(place=PLACES, leased=SEEDS, owner=st.integers(0, 2))
    def add_lease(self, place, leased, owner):
        self.both("add_lease", index(place), lease(leased), owner, self.now)

    @rule(place=PLACES, leased=SEEDS)
    def cancel_lease(self, place, leased):
        self.both("cancel_lease", index(place), lease(leased).cancel_secret, self.now)

    @rule(place=PLACES, number=NUMBERS)
    def discard(self, place, number):
        known = self.in_memory.books().index.find(ShareName(FILE, index(place), number))
        if known is not None and not known.discarded:
            self.both("discard", index(place), number, known.expires, self.now)

    @rule(place=PLACES, number=NUMBERS)
    def purge(self, place, number):
        self.both("purge", index(place), number)

    @rule(place=PLACES)
    def restore(self, place):
        self.both("restore", index(place))

    @rule(place=PLACES, number=NUMBERS, seed=SEEDS)
    def replace_corrupt(self, place, number, seed):
        self.both("replace_corrupt", index(place), number, share(seed, number))

    @rule(place=PLACES, number=NUMBERS, offset=st.integers(-1, 1500), length=st.integers(-1, 1500))
    def read(self, place, number, offset, length):
        self.both("read", index(place), number, offset, length)

    @rule(seed=st.integers(0, 1000), clean=st.booleans())
    def restart(self, seed, clean):
        """Uploads are lost, nothing else; the store in memory forgets them on request.

        What is in the trash may come back by a power cut, so it comes back before.
        """
        for place in range(3):
            self.both("restore", index(place))
        if clean:
            self.on_disk.shut()
        self.disk.crash(Random(seed))
        self.on_disk = DiskStore(self.disk, self.options, open_files=2).open()
        self.in_memory.abort_idle(self.now * 2, 0)

    @invariant()
    def they_hold_the_same(self):
        indexes = list(self.on_disk.storage_indexes())
        assert indexes == list(self.in_memory.storage_indexes())
        for storage_index in indexes:
            self.both("shares", storage_index)
            for number in self.on_disk.shares(storage_index):
                self.both("leases", storage_index, number)
                self.both("read", storage_index, number, 0, 10**6)
                self.both("scrub", storage_index, number)
        spaces = [store.space() for store in (self.on_disk, self.in_memory)]
        assert spaces[0].available == spaces[1].available
        assert spaces[0] == spaces[1]
        books = [store.books().index for store in (self.on_disk, self.in_memory)]
        assert sorted(books[0]) == sorted(books[1])
        assert books[0].trash() == books[1].trash()
        assert books[0].owners() == books[1].owners()


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
