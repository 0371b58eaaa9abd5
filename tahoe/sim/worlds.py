"""Worlds: ready-made places for a grid to live in.

==============  ================================================================  ==========================================
world           who is there                                                      lines
==============  ================================================================  ==========================================
``friendnet``   friends at home, some of them with two machines in one house      20 ms, slow up and quick down, shared
``campus``      departments of a university, machines in their rooms              a millisecond, 1 Gbit/s, shared per building
``datacentre``  racks of servers                                                  a tenth of a millisecond, 10 Gbit/s per rack
``planet``      sites on five continents, a broker in each, all joined            tens to hundreds of milliseconds
==============  ================================================================  ==========================================

Each takes numbers of servers and clients and gives a ``Topology``. Numbers are round ones for scale, not measurements.
"""

from __future__ import annotations

from random import Random

from tahoe.sim.laws import LogNormal, Uniform
from tahoe.sim.topology import Topology
from tahoe.sim.wire import Access, Link

MEGABIT = 125_000.0
"""Bytes per second."""

WIRE = Access()
WARD = Access(Link(Uniform(0.0001, 0.0003), 125e6), Link(Uniform(0.0001, 0.0003), 125e6))


def friendnet(servers: int = 10, clients: int = 1, seed: int = 1) -> Topology:
    """Friends at home: every house has a line of its own, slower up than down, and every third house two machines.

    Args:
        servers: how many machines store shares.
        clients: how many machines use them; each is in the house of a server.
        seed: draws the speeds of the lines.
    """
    world, rng = Topology(), Random(f"friendnet/{seed}")
    houses = [house for house in range(servers) for _ in range(2 if house % 3 == 2 else 1)][:servers]
    for house in dict.fromkeys(houses):
        up = rng.choice((5.0, 10.0, 20.0, 40.0)) * MEGABIT
        latency = LogNormal(rng.uniform(0.008, 0.03), 0.3)
        world.add_line(f"house-{house}", Access(Link(latency, up), Link(latency, 5 * up)))
    for number, house in enumerate(houses):
        world.add_node(f"server-{number}", f"house-{house}", WARD, line=f"house-{house}")
    for number in range(clients):
        house = houses[number % len(houses)]
        world.add_node(f"client-{number}", f"house-{house}", WARD, line=f"house-{house}")
    world.add_node("introducer-0", "", WIRE)
    return world


def campus(servers: int = 40, clients: int = 4, buildings: int = 5) -> Topology:
    """A university: machines in the rooms of buildings, each building on one line of a gigabit."""
    world = Topology()
    line = Link(Uniform(0.0004, 0.0012), 1000 * MEGABIT)
    for building in range(buildings):
        world.add_line(f"building-{building}", Access(line, line))
    for kind, count in (("server", servers), ("client", clients)):
        for number in range(count):
            building, room = number % buildings, number // buildings % 4
            place = f"building-{building}/room-{room}"
            world.add_node(f"{kind}-{number}", place, WARD, line=f"building-{building}")
    world.add_node("introducer-0", "", WIRE)
    return world


def datacentre(servers: int = 100, clients: int = 4, racks: int = 10) -> Topology:
    """One hall: racks of servers, each rack behind a switch of ten gigabits; clients next to the broker."""
    world = Topology()
    switch = Link(Uniform(0.00005, 0.0002), 10_000 * MEGABIT)
    for rack in range(racks):
        world.add_line(f"rack-{rack}", Access(switch, switch))
    for number in range(servers):
        rack = number % racks
        world.add_node(f"server-{number}", f"hall/rack-{rack}", WARD, line=f"rack-{rack}")
    for number in range(clients):
        world.add_node(f"client-{number}", "hall", WARD)
    world.add_node("introducer-0", "", WIRE)
    return world


CONTINENTS = {
    "europe": (0.0, "broker"),
    "america": (0.045, "broker-america"),
    "asia": (0.09, "broker-asia"),
    "africa": (0.07, "broker-africa"),
    "australia": (0.14, "broker-australia"),
}
"""One-way seconds from Europe, and the broker of each continent."""


def planet(servers: int = 50, clients: int = 5) -> Topology:
    """Five continents with a broker each; between any two lies the way by Europe. Every machine is a site of its own."""
    world = Topology()
    for name, (distance, broker) in CONTINENTS.items():
        if name != "europe":
            world.add_broker(broker, {"broker": Link(LogNormal(distance, 0.1))})
    line = Access(Link(LogNormal(0.012, 0.4), 20 * MEGABIT), Link(LogNormal(0.012, 0.4), 100 * MEGABIT))
    for kind, count in (("server", servers), ("client", clients)):
        for number in range(count):
            continent = list(CONTINENTS)[number % len(CONTINENTS)]
            world.add_node(f"{kind}-{number}", f"{continent}/{number}", line, broker=CONTINENTS[continent][1])
    world.add_node("introducer-0", "", WIRE)
    return world


ALL = {"friendnet": friendnet, "campus": campus, "datacentre": datacentre, "planet": planet}
"""The worlds by name, for scenarios."""
