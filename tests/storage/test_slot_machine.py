"""Any history of versions, good and bad, leaves in every store what a model says, over restarts and power cuts."""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tahoe.actors.slotkeeping import CONFLICT, PRESENT, WRITTEN, read_slot, write_slot
from tahoe.codec.slot import EncodedSlot
from tahoe.protocol import ReadSlot
from tahoe.storage.disk import DiskStore
from tahoe.storage.filesystem import VolatileFileSystem
from tahoe.storage.leaseindex import SLOT, ShareName
from tahoe.storage.memory import MemoryStore
from tests.storage.samples import NOW, content, lease
from tests.storage.slotconformance import carries
from tests.storage.slotsamples import Writer, name, offer, request

numbers = st.sampled_from([0, 1, 2])
sizes = st.sampled_from([0, 1, 64, 65, 300, 640, 1000])


class Slots(RuleBasedStateMachine):
    """One slot of three shares, on all kinds of stores at once."""

    def __init__(self) -> None:
        super().__init__()
        self.writer = Writer()
        self.disk = VolatileFileSystem()
        self.memory = MemoryStore()
        self.on_disk = DiskStore(self.disk).open()
        self.made: list[EncodedSlot] = []
        self.model: dict[int, EncodedSlot] = {}
        self.leases: dict[int, set[int]] = {}
        self.trash: dict[int, EncodedSlot] = {}

    @property
    def stores(self):
        return self.memory.slots, self.on_disk.slots

    def make(self, size: int, seed: int, base: EncodedSlot | None, sequence: int | None = None) -> EncodedSlot:
        """A version; half of its segments are those of ``base``."""
        data = content(seed, size)
        if base is not None:
            old = content(1000 * self.made.index(base), base.version.shape.length)
            data = old[: size // 2] + data[min(size // 2, len(old)) :]
        encoded = self.writer.write(data[:size].ljust(size, b"-"), base, sequence)
        self.made.append(encoded)
        return encoded

    def put(self, encoded: EncodedSlot, *shares, leased: int = 0) -> str:
        """Write into all stores, which must agree; return the first share's outcome."""
        order = request(self.writer, encoded, *shares, leased=lease(leased))
        one, two = (write_slot(store, order, NOW) for store in self.stores)
        assert one == two
        for outcome in one.outcomes:
            if outcome.outcome == WRITTEN:
                self.model[outcome.number] = encoded
                self.leases.setdefault(outcome.number, set()).add(leased)
            elif outcome.outcome == PRESENT:
                for number in self.model:
                    self.leases[number].add(leased)
        return one.outcomes[0].outcome

    def all_come_back(self) -> None:
        """What every write and every new lease does first."""
        self.model.update(self.trash)
        self.trash.clear()

    @initialize(size=sizes)
    def begin(self, size):
        self.make(size, 1, None)

    @rule(number=numbers, size=sizes, seed=st.integers(1, 50), leased=st.integers(0, 5), skip=st.integers(1, 3))
    def next_version(self, number, size, seed, leased, skip):
        self.all_come_back()
        base = self.model.get(number)
        highest = max(each.version.sequence for each in self.made)
        encoded = self.make(size, seed, base, highest + skip)
        assert self.put(encoded, offer(encoded, number, base), leased=leased) == WRITTEN

    @rule(size=sizes, seed=st.integers(1, 50))
    def next_version_of_all_shares_that_agree(self, size, seed):
        self.all_come_back()
        base = self.model.get(0)
        group = [number for number in range(3) if self.model.get(number) == base]
        encoded = self.make(size, seed, base, max(each.version.sequence for each in self.made) + 1)
        assert self.put(encoded, *(offer(encoded, number, base) for number in group)) == WRITTEN

    @precondition(lambda self: self.model)
    @rule(data=st.data(), whole=st.booleans())
    def rival_of_one_sequence_number(self, data, whole):
        self.all_come_back()
        number = data.draw(st.sampled_from(sorted(self.model)))
        held = self.model[number]
        rival = self.make(100, 99, held, held.version.sequence)
        if rival.version.identity != held.version.identity:
            assert self.put(rival, offer(rival, number, held, whole=whole)) == CONFLICT

    @rule(data=st.data(), number=numbers)
    def any_version_in_place_of_any_other(self, data, number):
        self.all_come_back()
        encoded = data.draw(st.sampled_from(self.made), label="offered")
        replaced = data.draw(st.sampled_from([None, *self.made]), label="replaced")
        held = self.model.get(number)
        share = msgspec.structs.replace(offer(encoded, number), replaces=name(replaced))
        fits = held == replaced and (held is None or encoded.version.sequence > held.version.sequence)
        expected = PRESENT if held == encoded else WRITTEN if fits else CONFLICT
        assert self.put(encoded, share) == expected

    @rule(leased=st.integers(0, 5))
    def lease_added(self, leased):
        self.all_come_back()
        for store in self.stores:
            assert store.add_lease(self.writer.index, lease(leased), 1, NOW) == len(self.model)
        for number in self.model:
            self.leases[number].add(leased)

    @rule(leased=st.integers(0, 5))
    def lease_cancelled(self, leased):
        count = sum(leased in self.leases[number] for number in self.model)
        for store in self.stores:
            assert store.cancel_lease(self.writer.index, lease(leased).cancel_secret, NOW) == count
        for number in list(self.model):
            self.leases[number].discard(leased)

    @rule(number=numbers)
    def discarded(self, number):
        """Both put it into the trash, from where the next lease or write brings it back, or it is purged."""
        for store in (self.memory, self.on_disk):
            known = store.books().index.find(ShareName(SLOT, self.writer.index, number))
            if known is not None and not known.discarded:
                assert store.slots.discard(self.writer.index, number, known.expires, NOW)
        if number in self.model:
            self.trash[number] = self.model.pop(number)

    @rule(purged=st.booleans())
    def trash_emptied(self, purged):
        for store in self.stores:
            if purged:
                assert [store.purge(self.writer.index, number) for number in self.trash] == [True] * len(self.trash)
            else:
                assert store.restore(self.writer.index) == len(self.trash)
        if purged:
            for number in self.trash:
                del self.leases[number]
        else:
            self.model.update(self.trash)
        self.trash.clear()

    @rule(seed=st.integers(0, 10**6))
    def power_cut(self, seed):
        self.disk.crash(Random(seed))
        self.begin_anew()

    @rule()
    def kill(self):
        self.disk.kill()
        self.begin_anew()

    @rule()
    def end(self):
        self.on_disk.shut()
        self.begin_anew()

    def begin_anew(self) -> None:
        """Whether a share is found in the trash or not after a power cut is for chance to say."""
        self.on_disk = DiskStore(self.disk).open()
        for store in self.stores:
            store.restore(self.writer.index)
        self.all_come_back()

    @invariant()
    def stores_carry_what_the_model_says(self):
        for store in self.stores:
            assert store.numbers(self.writer.index) == tuple(sorted(self.model))
            for number, encoded in self.model.items():
                assert carries(store, self.writer, encoded, number)
                assert len(store.leases(self.writer.index, number)) == len(self.leases[number])

    @invariant()
    def readers_are_told_the_same(self):
        order = ReadSlot(self.writer.index, 0, 10**6, 10**6, edge=True)
        one, two = (read_slot(store, order) for store in self.stores)
        assert one == two

    @invariant()
    def room_is_accounted_for_alike(self):
        assert self.memory.space().shares == self.on_disk.space().shares == len(self.model)
        one, two = (store.books().index for store in (self.memory, self.on_disk))
        assert sorted(one) == sorted(two)
        assert one.trash() == two.trash()


TestSlots = Slots.TestCase
TestSlots.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
