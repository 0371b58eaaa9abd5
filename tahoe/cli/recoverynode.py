"""What a node directory holds that no new one would have: taken out of it, and put into another.

Everything else in a node directory is either made anew (the token of the gateway), learned anew (who is in the grid), or the
machine's own (the options in ``tahoe.toml``, the database of backups, shares that a server keeps for others).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tahoe.cli.aliases import ALIASES_FILE, Aliases
from tahoe.cli.recoveryfile import Belongings, secret_bytes, secret_text
from tahoe.codec.capability import Directory, parse
from tahoe.errors import BadConfiguration
from tahoe.net.card import GridCard
from tahoe.net.config import NodeConfig
from tahoe.net.directory import NodeDirectory
from tahoe.net.keys import SECRET_BYTES, load_private_text, load_secret
from tahoe.net.toml import parse as parse_toml
from tahoe.protocol import CLIENT


def has_private_root(directory: Path) -> bool:
    """Whether the node has made its own root already, as it does on first use."""
    return NodeDirectory(directory).private_root.exists()


def gather(directory: Path) -> Belongings:
    """Return what a client node's directory holds.

    Raises:
        BadConfiguration: it is no client's, or something in it can't be used.
    """
    node = NodeDirectory(directory)
    node.check()
    if CLIENT not in NodeConfig.load(node.config).roles:
        raise BadConfiguration(f"{directory}: this node is no client, so there is nothing in it that is yours alone")
    known = node.roots.read_bytes() if node.roots.exists() else b""
    statements = msgspec.msgpack.decode(known, type=tuple[bytes, ...]) if known else ()
    return Belongings(
        card=GridCard.load(node.card).text(),
        account=secret_text(load_secret(node.key)),
        convergence=secret_text(load_secret(node.convergence)),
        lease_secret=secret_text(load_secret(node.lease_secret)),
        private_root=load_private_text(node.private_root).strip(),
        aliases=Aliases(directory).load(),
        roots=tuple(map(secret_text, statements)),
        made=int(time.time()),
    )


def card_of(belongings: Belongings) -> GridCard:
    """Return the grid card.

    Raises:
        BadConfiguration: it makes no sense.
    """
    return parse_toml(belongings.card.encode(), GridCard, "the grid card in the recovery file")


def files_of(belongings: Belongings) -> Mapping[Path, bytes]:
    """Return the files that a new node directory is to have, by their places in it.

    Raises:
        BadConfiguration: something makes no sense.
    """
    node = NodeDirectory(Path())
    if not isinstance(parse(belongings.private_root), Directory):
        raise BadConfiguration("the private root in this recovery file is no directory's capability")
    statements = tuple(map(secret_bytes, belongings.roots))
    files = {
        node.key: _secret_file(belongings.account),
        node.convergence: _secret_file(belongings.convergence),
        node.lease_secret: _secret_file(belongings.lease_secret),
        node.private_root: f"{belongings.private_root}\n".encode(),
        node.roots: msgspec.msgpack.encode(statements),
    }
    if belongings.aliases:
        lines = (f"{name}: {capability}\n" for name, capability in sorted(belongings.aliases.items()))
        files[ALIASES_FILE] = "".join(lines).encode()
    return files


def _secret_file(text: str) -> bytes:
    if len(secret_bytes(text)) != SECRET_BYTES:
        raise BadConfiguration(f"a secret in this recovery file does not have {SECRET_BYTES} bytes")
    return f"{text}\n".encode()
