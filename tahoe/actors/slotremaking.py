"""What a repair of a slot is to write, and where: pure functions of what servers have shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
        for place in positions_of(version):
            server = by_home.get(place.home)
            if server is not None:
                fillings.extend(_filling_of(version, findings, server, place.number))
    filled = [each.number for each in fillings]
    covered = dict.fromkeys([*findings.holders(version.identity), *filled, *findings.presumed])
    takers = [server for server in by_home.values() if not server.leaving]
    return [*fillings, *copies(version, findings, takers, covered)]


def _filling_of(version: SlotVersion, findings: SlotFindings, server: Server, number: int) -> Iterable[Filling]:
    """What a home lacks."""
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


class Remade(NamedTuple):
    """A share of a slot as it has to be written."""

    chain: tuple[bytes, ...]
    blocks: tuple[SlotBlock, ...]


def remake_shares(
    version: SlotVersion,
    segments: Sequence[Mapping[int, SlotBlock]],
    roots: Mapping[int, bytes],
    numbers: Sequence[int],
) -> dict[int, Remade]:
    """Make shares of a version from others, still encrypted.

    Args:
        version: whose.
        segments: for each segment k or more proven blocks, by share number.
        roots: proven roots of shares' block trees; others are computed.
        numbers: of the shares to be made.

    Raises:
        CorruptFile: whoever wrote the version wrote nonsense.
    """
    shape = version.shape
    coder = erasure(shape.needed, shape.total)
    made = sorted({*numbers, *(number for number in range(shape.total) if number not in roots)})
    blocks: dict[int, list[SlotBlock]] = {number: [] for number in made}
    for segment, given in enumerate(segments):
        salts = {block.salt for block in given.values()}
        if len(salts) != 1:
            raise CorruptFile(f"segment {segment} of a slot has several salts")
        salt, used = salts.pop(), sorted(given)[: shape.needed]
        primary = coder.decode(used, [given[number].data for number in used])
        for number, data in zip(made, coder.encode_some(primary, made), strict=True):
            blocks[number].append(SlotBlock(segment, salt, data))
    trees = {
        number: SparseTree.of_leaves([block_leaf(block.salt, block.data) for block in some])
        for number, some in blocks.items()
    }
    top = share_root_tree([trees[number].root if number in trees else roots[number] for number in range(shape.total)])
    if top.root != version.root_hash:
        raise CorruptFile("the shares of a slot are not made of the same segments")
    return {number: Remade(tuple(top.path(number).values()), tuple(blocks[number])) for number in numbers}
