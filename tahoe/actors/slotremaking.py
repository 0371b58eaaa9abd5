"""What a repair of a slot is to write, and where: pure functions of what servers have shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tahoe.actors.servers import Server
from tahoe.actors.slotchecking import SlotFindings
from tahoe.codec.erasure import erasure
from tahoe.codec.slot import SlotVersion, SparseTree, VersionId, block_leaf, share_root_tree
from tahoe.errors import CorruptFile
from tahoe.policy.register import positions_of
from tahoe.protocol import NodeId, SlotBlock

# --- what to do --------------------------------------------------------------------------------------------


class Filling(NamedTuple):
    """One share to be written: where, and the version it is to replace there."""

    node: NodeId
    number: int
    replaces: VersionId | None


def plan_fillings(version: SlotVersion, findings: SlotFindings, servers: Sequence[Server]) -> list[Filling]:
    """What is to be written where.

    Args:
        version: that is looked after.
        findings: of a check or a verification.
        servers: all that are known, in the slot's order.
    """
    by_home = {server.permutation_seed: server for server in servers if server.node in findings.responding}
    choice = findings.hearing.choice()
    is_certain = choice is not None and choice.version == version
    fillings: list[Filling] = []
    if is_certain:
        places = [(by_home[place.home], place.number) for place in positions_of(version) if place.home in by_home]
        for server, number in [*places, *_kept_elsewhere(findings, by_home.values(), places)]:
            fillings.extend(_filling_of(version, findings, server, number))
    filled = [each.number for each in fillings]
    covered = dict.fromkeys([*findings.holders(version.identity), *filled, *findings.presumed])
    takers = [server for server in by_home.values() if not server.leaving]
    return [*fillings, *copies(version, findings, takers, covered)]


def _kept_elsewhere(
    findings: SlotFindings, servers: Iterable[Server], places: Collection[tuple[Server, int]]
) -> Iterator[tuple[Server, int]]:
    """Copies that are in no position: left behind by a repair, and of an older version by now."""
    by_node = {server.node: server for server in servers}
    for node, number in findings.shares:
        if node in by_node and (by_node[node], number) not in places:
            yield by_node[node], number


def _filling_of(version: SlotVersion, findings: SlotFindings, server: Server, number: int) -> Iterable[Filling]:
    """What a server lacks that is to have this share."""
    share = findings.shares.get((server.node, number))
    if share is None:
        return (Filling(server.node, number, None),)
    carried = share.version.identity
    is_flawed = (server.node, number) in findings.flaws
    if carried == version.identity:
        return (Filling(server.node, number, carried),) if is_flawed else ()
    return (Filling(server.node, number, carried),) if carried.sequence < version.sequence else ()


def copies(
    version: SlotVersion, findings: SlotFindings, servers: Sequence[Server], covered: Mapping[int, None]
) -> Iterable[Filling]:
    """Copies of shares that nobody in reach has, on the servers with fewest shares that lack this number."""
    load = {server.node: 0 for server in servers}
    for node, _ in findings.shares:
        if node in load:
            load[node] += 1
    for number in range(version.shape.total):
        pool = [server for server in servers if (server.node, number) not in findings.shares]
        if number not in covered and pool:
            home = min(pool, key=lambda server: load[server.node])
            load[home.node] += 1
            yield Filling(home.node, number, None)


# --- making shares -----------------------------------------------------------------------------------------


class Remaking:
    """Makes shares of a version from others, still encrypted, some segments at a time.

    Args:
        version: whose.
        roots: proven roots of shares' block trees; others are computed, as all of a chain has to be known.
        numbers: of the shares to be made.
    """

    def __init__(self, version: SlotVersion, roots: Mapping[int, bytes], numbers: Iterable[int]) -> None:
        self._version = version
        self._roots = roots
        self._wanted = frozenset(numbers)
        unknown = (number for number in range(version.shape.total) if number not in roots)
        self._leaves: dict[int, list[bytes]] = {number: [] for number in sorted({*self._wanted, *unknown})}

    def add(self, segments: Iterable[tuple[int, Mapping[int, SlotBlock]]]) -> dict[int, tuple[SlotBlock, ...]]:
        """Make blocks of the segments that follow those that were made last.

        Args:
            segments: number of each, and k or more proven blocks by share number.

        Returns:
            The blocks of every share that is wanted.

        Raises:
            CorruptFile: whoever wrote the version wrote nonsense.
        """
        made: dict[int, list[SlotBlock]] = {number: [] for number in self._wanted}
        for segment, given in segments:
            for number, block in self._segment(segment, given):
                self._leaves[number].append(block_leaf(block.salt, block.data))
                if number in made:
                    made[number].append(block)
        return {number: tuple(blocks) for number, blocks in made.items()}

    def _segment(self, segment: int, given: Mapping[int, SlotBlock]) -> Iterable[tuple[int, SlotBlock]]:
        shape, numbers = self._version.shape, list(self._leaves)
        salts = {block.salt for block in given.values()}
        if len(salts) != 1:
            raise CorruptFile(f"segment {segment} of a slot has several salts")
        salt, used = salts.pop(), sorted(given)[: shape.needed]
        coder = erasure(shape.needed, shape.total)
        primary = coder.decode(used, [given[number].data for number in used])
        coded = zip(numbers, coder.encode_some(primary, numbers), strict=True)
        return [(number, SlotBlock(segment, salt, data)) for number, data in coded]

    def chains(self) -> dict[int, tuple[bytes, ...]]:
        """What leads from the root of each wanted share to the signed root, once all segments have been made.

        Raises:
            CorruptFile: whoever wrote the version wrote nonsense.
        """
        roots = {number: SparseTree.of_leaves(leaves).root for number, leaves in self._leaves.items()}
        top = share_root_tree([roots.get(number) or self._roots[number] for number in range(self._version.shape.total)])
        if top.root != self._version.root_hash:
            raise CorruptFile("the shares of a slot are not made of the same segments")
        return {number: tuple(top.path(number).values()) for number in sorted(self._wanted)}
