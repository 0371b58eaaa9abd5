"""``debug dump-slot`` and ``debug dump-dirnode``: what is in a slot's share, and in a directory's table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import click

from tahoe.cli.facts import kind_of, show, time_left
from tahoe.cli.gateway import Gateway, with_gateway
from tahoe.cli.names import shown
from tahoe.cli.values import CapabilityText, json_option
from tahoe.codec import base32
from tahoe.codec.capability import Capability, Directory, ImmutableRead, Literal, SlotRead, SlotWrite, parse
from tahoe.codec.directory import NONCE_SIZE, Child, DirectoryTable, Edit, Link, Sealer, unpack_immutable
from tahoe.codec.slot import SALT_SIZE, block_leaf, slot_storage_index
from tahoe.errors import BadCapability
from tahoe.session.identity import node_of
from tahoe.storage.slotfile import SlotContainer, parse_record
from tahoe.storage.slottree import root_of_leaves

Facts = dict[str, Any]
Read = Callable[[int, int], bytes]


# --- slots -------------------------------------------------------------------------------------------------


@click.command("dump-slot")
@click.argument("file", type=click.File("rb"))
@click.option("--number", type=click.IntRange(0, 254), help="Share number to check it as. Default: the file's name.")
@json_option
def dump_slot(file: IO[bytes], number: int | None, *, as_json: bool) -> None:
    """Show what is in a share of a slot, as it lies on a server's disk (storage/slots/...), and whether it is sound."""

    def read(offset: int, length: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    try:
        container = SlotContainer.parse(read)
    except ValueError as error:
        raise click.ClickException(f"{file.name}: this is no share of a slot: {error}") from error
    if number is None:
        name = Path(file.name).name
        number = int(name) if name.isdecimal() else None
    show(_facts_of_slot(container, read, number), as_json=as_json)


def _facts_of_slot(container: SlotContainer, read: Read, number: int | None) -> Facts:
    version, proof, now = container.head.version, container.head.proof, time.time()
    shape = version.shape
    return {
        "storage_index": base32.encode(slot_storage_index(proof.read_key_hash, proof.public_key)),
        "public_key": base32.encode(proof.public_key),
        "sequence": version.sequence,
        "root_hash": base32.encode(version.root_hash),
        "needed": shape.needed,
        "total": shape.total,
        "quorum": shape.quorum,
        "segment_size": shape.segment_size,
        "segments": shape.segment_count,
        "length": shape.length,
        "sound": _soundness(container, read, number),
        "homes": {str(share): node_of(key) for share, key in enumerate(version.homes)},
        "leases": [
            {"owner": lease.owner, "expires": lease.expires, "time_left": time_left(lease.expires - now)}
            for lease in container.leases
        ],
    }


def _soundness(container: SlotContainer, read: Read, number: int | None) -> bool | str | None:
    """Whether signature and every hash agree, or what does not; None if the share's number is unknown."""
    proof = container.head.proof
    try:
        proof.check(slot_storage_index(proof.read_key_hash, proof.public_key))
        root = root_of_leaves(_proven_leaves(container, read))
    except ValueError as error:
        return str(error)
    if number is None:
        return None
    return container.head.vouches_for(number, root) or "the leaves don't lead to the signed root hash"


def _proven_leaves(container: SlotContainer, read: Read) -> Iterator[bytes]:
    shape = container.head.version.shape
    for segment in range(shape.segment_count):
        record = parse_record(read(*container.span(segment)))
        if len(record.block) != shape.block_length(segment) or len(record.salt) != SALT_SIZE:
            raise ValueError(f"the share ends within block {segment}")
        if block_leaf(record.salt, record.block) != record.leaf:
            raise ValueError(f"block {segment} is not that of its leaf")
        yield record.leaf


# --- directories -------------------------------------------------------------------------------------------


@click.command("dump-dirnode")
@click.argument("cap", type=CapabilityText())
@click.option(
    "--uri", "caps", is_flag=True, help="With the capabilities of children, each with all the power there is."
)
@json_option
@with_gateway
def dump_dirnode(gateway: Gateway, cap: str, *, caps: bool, as_json: bool) -> None:
    """Show the table of the directory CAP as it is stored: its snapshot, the edits since, and what each link holds."""
    directory = parse(cap)
    if not isinstance(directory, Directory):
        raise BadCapability("this is no directory's capability")
    directory.check_served()
    if not isinstance(directory.file, ImmutableRead | Literal | SlotRead | SlotWrite):
        raise BadCapability("this capability verifies a directory but can't read it")
    with gateway.request("GET", f"/uri/{directory.file}") as response:
        contents = response.read()
    facts, children = _facts_of_directory(directory.file, contents, caps=caps)
    if as_json:
        click.echo(json.dumps(facts | {"children": children}))
        return
    show(facts, as_json=False)
    click.echo(f"children: {len(children) or 'none'}")
    for name, child in children.items():
        words = ", ".join(f"{fact.replace('_', ' ')} {value}" for fact, value in child.items() if fact != "metadata")
        click.echo(f"  {shown(name)}: {words}; {json.dumps(child['metadata'])}")


def _facts_of_directory(file: Capability, contents: bytes, *, caps: bool) -> tuple[Facts, dict[str, Facts]]:
    facts: Facts = {"kind": kind_of(Directory(file)), "mutable": file.mutable, "size": len(contents)}
    if not file.mutable:
        table = unpack_immutable(contents)
        return facts, {name: _facts_of_child(child, caps=caps) for name, child in table.items()}
    directory = DirectoryTable.parse(contents)
    edits = list(directory.edits())
    facts |= {
        "snapshot_bytes": len(directory.snapshot),
        "log_bytes": len(directory.log),
        "wants_compaction": directory.wants_compaction(),
        "edits_remembered": len(directory.recent),
        "log": [_facts_of_edit(edit) for edit in edits],
    }
    sealer = Sealer(file.seed, lambda: bytes(NONCE_SIZE)) if isinstance(file, SlotWrite) else None
    return facts, {name: _facts_of_link(link, sealer, caps=caps) for name, link in directory.links.items()}


def _facts_of_edit(edit: Edit) -> Facts:
    return {
        "id": edit.identity.hex(),
        "sets": [change.name for change in edit.changes if change.link is not None],
        "takes_out": [change.name for change in edit.changes if change.link is None],
    }


def _facts_of_child(child: Child, *, caps: bool) -> Facts:
    return {"read": child.read if caps else _prefix(child.read), "metadata": child.metadata}


def _facts_of_link(link: Link, sealer: Sealer | None, *, caps: bool) -> Facts:
    write = None if sealer is None else sealer.open(link.sealed)
    facts: Facts = {"read": link.read if caps else _prefix(link.read), "sealed_bytes": len(link.sealed)}
    if write is not None:
        facts["write"] = write if caps else _prefix(write)
    return {**facts, "metadata": link.metadata_object}


def _prefix(cap: str) -> str:
    """What a cap begins with, which names its kind and tells nothing else."""
    return ":".join(cap.split(":")[:2])
