"""Laws: what a machine takes for what a grid does, as numbers that a simulated twin lives by.

All of them are plain numbers, so that they stand in a table of results, and a prediction can be made again from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from experiments.twinning.plan import PUT
from tahoe.sim.labour import Labour, Toll
from tahoe.sim.laws import Fixed
from tahoe.sim.lifetimes import Empirical
from tahoe.sim.prices import Price


@dataclass(frozen=True, slots=True)
class Laws:
    """Of one machine. Times are seconds; those of a packet or byte are processor time of whoever handles it.

    Args:
        cores: that processes compete for.
        hop: quantiles of the time that a small message waits on its way through the broker while nobody works on it.
        client_packet: the client, for each packet that it sends or receives.
        client_byte: and for each byte of it.
        server_packet: a server, the same.
        server_byte: a server, the same.
        broker_packet: the broker, for each packet that it passes on.
        broker_byte: and for each byte of it.
        put: the gateway and whoever asks it, for each file stored.
        put_byte: and for each byte of it.
        get: the same for a file fetched.
        get_byte: the same.
        request_wait: of each request, while neither works.
        pace: how many times as long as the simulator's list of prices says it takes to compute.
        store: a server, for each share that it makes durable, beside its packets.
        sync: and how long it waits for the disk then, when others do the same.
        farewell: from the end of a process until the client knows.
        stretch: how many times as long as its processor time work takes, because others use the machine, too.
    """

    cores: int = 2
    hop: tuple[float, ...] = (0.0,)
    client_packet: float = 0.0
    client_byte: float = 0.0
    server_packet: float = 0.0
    server_byte: float = 0.0
    broker_packet: float = 0.0
    broker_byte: float = 0.0
    put: float = 0.0
    put_byte: float = 0.0
    get: float = 0.0
    get_byte: float = 0.0
    request_wait: float = 0.0
    pace: float = 1.0
    store: float = 0.0
    sync: float = 0.0
    farewell: float = 0.5
    stretch: float = 1.0

    def hop_law(self) -> Empirical:
        """Of the wires from one node to another, broker included."""
        return Empirical(self.hop)

    def request_seconds(self, kind: str, size: int) -> float:
        """Processor time of a request to the gateway, grid aside."""
        call, byte = (self.put, self.put_byte) if kind == PUT else (self.get, self.get_byte)
        return self.stretch * (call + byte * size)

    def labour(self) -> Labour:
        """As the simulator takes it."""
        tolls = {
            "client": Toll(self.stretch * self.client_packet, self.stretch * self.client_byte),
            "server": Toll(self.stretch * self.server_packet, self.stretch * self.server_byte),
            "broker": Toll(self.stretch * self.broker_packet, self.stretch * self.broker_byte),
        }
        durable = Price(call=self.stretch * self.store, wait=self.sync)
        prices = {"store": durable, "close": durable, "allocate": Price(call=0.0), "write": Price(call=0.0)}
        return Labour(self.cores, tolls, self.stretch * self.pace, prices)

    def rows(self) -> list[tuple[str, float]]:
        """Each law by name, those of ``hop`` by number."""
        found: list[tuple[str, float]] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                found += [(f"{field.name} {number}", each) for number, each in enumerate(value)]
            else:
                found.append((field.name, value))
        return found


NOWHERE = Fixed(0.0)
"""The law of wires on which nothing waits."""


def laws_of(values: Mapping[str, float]) -> Laws:
    """Laws from their rows: the way back from ``Laws.rows``."""
    hop = [value for name, value in values.items() if name.startswith("hop ")]
    others = {field.name: values[field.name] for field in fields(Laws) if field.name != "hop"}
    return Laws(**(others | {"cores": int(values["cores"]), "hop": tuple(hop)}))  # type: ignore[arg-type]  # by name
