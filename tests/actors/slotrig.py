"""A rig with several clients who have slots and directories."""

from __future__ import annotations

from dataclasses import replace

from tahoe.actors.slots import SlotDesk, SlotMemory, SlotPatience, Slots, SlotTerms
from tahoe.codec.slot import SlotProof, VersionId
from tests.actors.rig import MASTER, Machine, Rig

PATIENCE = SlotPatience(question=2.0, write=3.0)
TERMS = SlotTerms(3, 10, segment_size=300, patience=PATIENCE)


class SlotRig(Rig):
    """Servers as in ``Rig``, and clients that can be restarted: what they put into their state stays."""

    def __init__(self, servers: int = 10, clients: int = 2, seed: int | str = 1, terms: SlotTerms = TERMS) -> None:
        super().__init__(servers, seed)
        self.terms = terms
        self.clients = [Machine(self, f"client {number}") for number in range(clients)]
        self.machines |= {machine.name: machine for machine in self.clients}
        self.slots = [self.new_slots(machine) for machine in self.clients]

    def new_slots(self, machine: Machine) -> Slots:
        ctx = machine.context
        return Slots(SlotDesk(ctx, lambda: self.roster, MASTER, lambda: self.terms, SlotMemory(ctx)))

    def restart(self, client: int) -> None:
        """A new incarnation: nothing is left but its durable state."""
        before = self.clients[client]
        machine = Machine(self, f"{before.name}'")
        machine.state = before.state
        self.machines[machine.name] = machine
        self.clients[client] = machine
        self.slots[client] = self.new_slots(machine)

    def do(self, story, client: int = 0):
        return self.world.run(self.world.observe(story, self.clients[client].life))

    def start_on(self, client: int, story) -> None:
        """Begin a story that may never end; what it returns or raises is nobody's concern."""
        self.world.observe(_outcome(story), self.clients[client].life)

    def one(self, story, client: int = 0):
        """Run a story; what it returns or raises."""
        return self.do(_outcome(story), client)

    def all(self, *stories):
        """Run stories of client 0, 1, … at once; what each returns or raises."""
        promises = [
            self.world.observe(_outcome(story), self.clients[client].life) for client, story in enumerate(stories)
        ]
        return [self.world.run(promise) for promise in promises]

    def carried(self, capability) -> list[VersionId | None]:
        """What each position's home carries, as the stores know it; by share number."""
        index = capability.storage_index
        found: dict[int, VersionId] = {}
        for store in self.stores:
            for number in store.slots.numbers(index):
                found[number] = store.slots.head(index, number).version.identity
        return [found.get(number) for number in range(self.terms.total)]

    def home(self, capability, number: int) -> Machine:
        """The server of a share."""
        for machine, store in zip(self.servers, self.stores, strict=True):
            if number in store.slots.numbers(capability.storage_index):
                return machine
        raise AssertionError(f"share {number} is nowhere")

    def sent(self) -> int:
        """Requests that servers have heard so far."""
        return sum(len(machine.heard) for machine in self.servers)


async def _outcome(story):
    try:
        return await story
    except Exception as error:  # noqa: BLE001  # handed to the test
        return error


def signed_of(share) -> SlotProof:
    signed = share.signed
    return SlotProof(signed.version, signed.signature, signed.public_key, signed.read_key_hash)


def patient(terms: SlotTerms, **patience) -> SlotTerms:
    """The terms with some patience changed."""
    return replace(terms, patience=replace(terms.patience, **patience))
