"""``tahoe debug``: shares, capabilities and directories taken apart, shares put together."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from tahoe.cli.facts import kind_of, show, time_left
from tahoe.cli.insides import dump_dirnode, dump_slot
from tahoe.cli.shares import EncodingChoice, ShareFile, decode, encode, open_share
from tahoe.cli.transfer import output_file
from tahoe.cli.values import CapabilityText, HexBytes, json_option
from tahoe.codec import base32, capability
from tahoe.codec.capability import Capability, Directory, ImmutableRead, ImmutableVerify, Literal, Unknown
from tahoe.codec.keys import KEY_SIZE
from tahoe.codec.parameters import DEFAULT_MAX_SEGMENT_SIZE
from tahoe.codec.share import hash_of_uri_extension, parse_uri_extension
from tahoe.codec.verification import verify_share
from tahoe.errors import BadCapability, CorruptShare


@click.group()
def debug() -> None:
    """Look inside shares, capabilities and directories. Only dump-dirnode needs a grid."""


@debug.command("encode")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("outdir", type=click.Path(file_okay=False, path_type=Path))
@click.option("--needed", default=3, show_default=True, type=click.IntRange(1, 256), help="Shares that suffice.")
@click.option("--total", default=10, show_default=True, type=click.IntRange(1, 256), help="Shares to make.")
@click.option(
    "--segment-size",
    default=DEFAULT_MAX_SEGMENT_SIZE,
    show_default=True,
    type=click.IntRange(1),
    help="Largest segment, in bytes.",
)
@click.option("--convergence", type=HexBytes(), help="The secret that the key is derived with, in hexadecimal.")
@click.option("--key", type=HexBytes(KEY_SIZE), help="The key itself, 16 bytes in hexadecimal.")
def debug_encode(  # noqa: PLR0913, PLR0917  # a command has as many parameters as its user has options
    file: Path,
    outdir: Path,
    needed: int,
    total: int,
    segment_size: int,
    convergence: bytes | None,
    key: bytes | None,
) -> None:
    """Write the raw shares of FILE as OUTDIR/0, OUTDIR/1, ... and print what names them, as JSON."""
    if (convergence is None) == (key is None):
        raise click.UsageError("give one of --convergence and --key")
    if needed > total:
        raise click.UsageError("--needed is at most --total")
    cap = encode(file, outdir, EncodingChoice(needed, total, segment_size, key, convergence or b""))
    click.echo(json.dumps(_names_of(cap)))


@debug.command("decode")
@click.argument("cap", type=CapabilityText())
@click.argument("sharedir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("outfile", type=click.Path(path_type=Path, allow_dash=True))
def debug_decode(cap: str, sharedir: Path, outfile: Path) -> None:
    """Rebuild the file of CAP from any k raw shares in SHAREDIR, named by share number, into OUTFILE."""
    parsed = capability.parse(cap)
    parsed.check_served()
    if not isinstance(parsed, ImmutableRead | Literal):
        raise BadCapability("only the read capability of an immutable file can be decoded")
    with output_file(outfile) as output:
        for piece in decode(parsed, sharedir):
            output.write(piece)


@debug.command("dump-share")
@click.argument("file", type=click.File("rb"))
@click.option("--number", type=click.IntRange(0, 255), help="Share number to check it as. Default: the file's name.")
@json_option
def dump_share(file: Any, number: int | None, *, as_json: bool) -> None:
    """Show what is in a share: raw, or in a server's container with its leases."""
    try:
        share = open_share(file)
    except ValueError as error:
        raise click.ClickException(f"{file.name}: this is no share of an immutable file: {error}") from error
    if number is None:
        name = Path(file.name).name
        number = int(name) if name.isdecimal() else None
    show(_facts_of_share(share, number), as_json=as_json)


@debug.command("dump-cap")
@click.argument("cap", type=CapabilityText())
@json_option
def dump_cap(cap: str, *, as_json: bool) -> None:
    """Show what a capability says and what weaker ones follow from it."""
    parsed = capability.parse(cap)
    if isinstance(parsed, Unknown):
        parsed.check_served()
    show(_facts_of_cap(parsed), as_json=as_json)


def _names_of(cap: Capability) -> dict[str, str | None]:
    verifier = cap.verifier()
    return {
        "read_cap": str(cap),
        "verify_cap": None if verifier is None else str(verifier),
        "storage_index": None if cap.storage_index is None else base32.encode(cap.storage_index),
        "ueb_hash": base32.encode(cap.ueb_hash) if isinstance(cap, ImmutableRead) else None,
    }


def _facts_of_cap(cap: Capability) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "kind": kind_of(cap),
        "directory": cap.is_directory,
        "mutable": cap.mutable,
        "writeable": cap.writeable,
    }
    file = cap.file if isinstance(cap, Directory) else cap
    if isinstance(file, ImmutableRead | ImmutableVerify):
        facts |= {"size": file.size, "needed": file.needed, "total": file.total}
        facts["ueb_hash"] = base32.encode(file.ueb_hash)
    if isinstance(file, Literal):
        facts["size"] = len(file.data)
    if cap.storage_index is not None:
        facts["storage_index"] = base32.encode(cap.storage_index)
    if cap.writeable:
        facts["read_cap"] = str(cap.read_only())
    verifier = cap.verifier()
    if verifier is not None and verifier != cap:
        facts["verify_cap"] = str(verifier)
    return facts


def _facts_of_share(share: ShareFile, number: int | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"container_version": None, "share_size": share.size}
    if share.container is not None:
        facts["container_version"] = share.container.version
    facts |= _facts_of_layout(share)
    facts["sound"] = _soundness(share, number)
    if share.container is not None:
        now = time.time()
        facts["leases"] = [
            {"owner": lease.owner, "expires": lease.expires, "time_left": time_left(lease.expires - now)}
            for lease in share.container.leases
        ]
    return facts


def _facts_of_layout(share: ShareFile) -> dict[str, Any]:
    offsets = share.offsets()
    try:
        length = offsets.uri_extension_length(share.read(offsets.uri_extension, offsets.length_field_size))
        ueb = offsets.uri_extension_in(share.read(offsets.uri_extension, offsets.length_field_size + length))
        fields = {name: _readable(value) for name, value in parse_uri_extension(ueb).items()}
    except ValueError as error:
        return {"share_version": offsets.version, "uri_extension": f"damaged: {error}"}
    return {
        "share_version": offsets.version,
        "ueb_hash": base32.encode(hash_of_uri_extension(ueb)),
        "uri_extension": fields,
    }


def _readable(value: bytes) -> str | int:
    if value.isdigit():
        return int(value)
    return value.decode() if value.isascii() and value.decode("ascii").isprintable() else base32.encode(value)


def _soundness(share: ShareFile, number: int | None) -> bool | str | None:
    """Whether every hash inside agrees, or why not; None if the share's number, which some depend on, is unknown."""
    if number is None:
        return None
    try:
        verify_share(number, share.read)
    except CorruptShare as error:
        return error.reason
    return True


debug.add_command(dump_slot)
debug.add_command(dump_dirnode)
