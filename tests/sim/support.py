"""A few nodes that know each other, for tests that need no whole grid."""

from __future__ import annotations

from hashlib import sha256

from tahoe.session.identity import Identity
from tahoe.session.settings import GridAccess, Settings
from tahoe.sim.laws import Fixed
from tahoe.sim.network import Network, Terms, star
from tahoe.sim.node import Node, Profile
from tahoe.sim.wire import Access, Link
from tahoe.sim.world import World

LINE = Access(Link(Fixed(0.005)), Link(Fixed(0.005)))


def make_nodes(seed, recipes, *, sealed=False, terms=Terms(), line=LINE):  # noqa: B008  # immutable
    """Nodes by nickname, booted, in a world of their own; their actors come from the recipes."""
    world = World(seed)
    access = GridAccess("grid", b"j" * 32)
    identities = {name: Identity.from_seed(sha256(name.encode()).digest()) for name in recipes}
    network = Network(world, star([identity.node for identity in identities.values()], lambda _: line), terms)
    nodes = {
        name: Node(
            world, network, Profile(name, identities[name], access, Settings(sealed=sealed)), recipe, phantoms=False
        )
        for name, recipe in recipes.items()
    }
    for node in nodes.values():
        node.boot()
        introduce(node, identities.values())
    return nodes


def introduce(node, identities):
    """Tell a node the keys of others, as its roster would."""
    for identity in identities:
        node.running.meet(identity.node, identity.exchange_public)
