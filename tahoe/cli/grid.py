"""``tahoe grid``: what only the owner of a grid does, with the grid's key."""

from __future__ import annotations

from pathlib import Path

import click

from tahoe.cli.create import EncodingText
from tahoe.errors import BadConfiguration
from tahoe.net.card import GridCard
from tahoe.net.directory import NodeDirectory, sign_encoding
from tahoe.net.keys import load_secret
from tahoe.protocol import Encoding
from tahoe.session.identity import GridKey
from tahoe.session.statement import ENCODING_STATEMENT, decode_encoding, open_statement


@click.group()
def grid() -> None:
    """For a grid's owner: sign what all nodes obey."""


@grid.command()
@click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--grid-key", type=click.Path(path_type=Path), help="Default: DIR.grid-key, beside DIR.")
@click.option("--encoding", type=EncodingText(), help="needed/happy/total shares of new files. Default: as it is.")
def sign(directory: Path, grid_key: Path | None, encoding: Encoding | None) -> None:
    """Sign the grid's encoding parameters anew, for the introducer in DIR to hand out."""
    node = NodeDirectory(directory)
    node.check()
    key = GridKey.from_seed(load_secret(grid_key or directory.with_name(directory.resolve().name + ".grid-key")))
    card = GridCard.load(node.card)
    if key.public_key != card.public_key:
        raise BadConfiguration(f"this is not the key of the grid that {node.card} names")
    encoding = encoding or _signed_encoding(node, key.public_key)
    sign_encoding(node, key, encoding)
    click.echo(f"Signed {encoding}. The introducer hands it out from its next start: tahoe restart {directory}")


def _signed_encoding(node: NodeDirectory, grid_public_key: bytes) -> Encoding:
    """Return the parameters that hold now."""
    for signed in node.load_statements(grid_public_key):
        statement = open_statement(grid_public_key, signed)
        if statement.name == ENCODING_STATEMENT:
            return decode_encoding(statement.value)
    raise BadConfiguration(f"{node.path} has no signed encoding yet; give --encoding")
