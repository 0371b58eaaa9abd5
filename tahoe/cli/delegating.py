"""Signing delegations, for ``tahoe care delegate``; apart from ``care.py``, which starts quicker without keys."""

from __future__ import annotations

import time
from pathlib import Path

import click

from tahoe.errors import BadMessage
from tahoe.net.directory import NodeDirectory
from tahoe.net.keys import load_secret
from tahoe.protocol import NodeId
from tahoe.session.delegation import ROOTS_ACCOUNT, Delegation, delegation_text, sign_delegation
from tahoe.session.identity import GridKey, public_key_of


def signed_delegation(directory: Path, node: str, seconds: float, grid_key: Path | None = None) -> str:
    """A delegation as people hand it on.

    Args:
        directory: of the node whose account it is.
        node: the id of who may lease for it.
        seconds: how long it holds.
        grid_key: file of the grid's key: then the account is that of the grid's named roots.

    Raises:
        click.UsageError: that is no node id.
        BadConfiguration: a key can't be read.
    """
    try:
        public_key_of(NodeId(node))
    except BadMessage as error:
        raise click.UsageError(f"{node} is no node id; the friend's tahoe status tells it") from error
    until = int(time.time() + seconds)
    if grid_key is not None:
        signed = sign_delegation(
            GridKey.from_seed(load_secret(grid_key)), Delegation(ROOTS_ACCOUNT, NodeId(node), until)
        )
    else:
        own = NodeDirectory(directory)
        own.check()
        identity = own.load_identity()
        signed = sign_delegation(identity, Delegation(identity.node, NodeId(node), until))
    return delegation_text(signed)
