"""``create-introducer`` and ``create-node``: the node directories of a new grid."""

from __future__ import annotations

import platform
from pathlib import Path

import click

from tahoe.cli.recovery import open_recovery, passphrase_option
from tahoe.cli.recoverynode import card_of, files_of
from tahoe.errors import BadConfiguration
from tahoe.net.card import BrokerEntry, GridCard
from tahoe.net.config import ClientSection, NodeConfig, NodeSection, StorageSection, parse_encoding
from tahoe.net.directory import FOUNDER_ROLES, NewGrid
from tahoe.net.directory import create_introducer as make_introducer
from tahoe.net.directory import create_node as make_node
from tahoe.net.quantities import ByteSize
from tahoe.net.toml import read as read_toml
from tahoe.protocol import INTRODUCER, Encoding

NEW_DIRECTORY = click.Path(file_okay=False, path_type=Path)


class SizeText(click.ParamType):  # type: ignore[type-arg]  # generic in click's newest releases only
    """A size such as 10G."""

    name = "size"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> ByteSize:
        """Return it in bytes."""
        try:
            return ByteSize.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class EncodingText(click.ParamType):  # type: ignore[type-arg]  # as above
    """An encoding such as 3/7/10."""

    name = "k/happy/n"

    def convert(self, value: str | Encoding, param: click.Parameter | None, ctx: click.Context | None) -> Encoding:
        """Return it, checked."""
        if isinstance(value, Encoding):
            return value
        try:
            return parse_encoding(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("directory", metavar="DIR", type=NEW_DIRECTORY)
@click.option(
    "--broker",
    "brokers",
    metavar="URL",
    required=True,
    multiple=True,
    help="mqtt://[user:password@]host[:port], mqtts:// for TLS, or the broker.toml of `tahoe broker run`. "
    "May be repeated: nodes take the first that answers.",
)
@click.option("--encoding", type=EncodingText(), default="3/7/10", show_default=True, help="needed/happy/total shares.")
@click.option("--grid-key", type=click.Path(dir_okay=False, path_type=Path), help="Default: DIR.grid-key, beside DIR.")
@click.option("--name", default="", help="What people call the grid.")
@click.option("--nickname", default="introducer", show_default=True, help="What people call this node.")
@click.option(
    "--roles",
    default=",".join(FOUNDER_ROLES),
    show_default=True,
    help="What this node does; introducer, and if you like vdrive, storage, client.",
)
def create_introducer(  # noqa: PLR0913, PLR0917  # a command has as many parameters as its user has options
    directory: Path,
    brokers: tuple[str, ...],
    encoding: Encoding,
    grid_key: Path | None,
    name: str,
    nickname: str,
    roles: str,
) -> None:
    """Found a grid: make its key, its card and its introducer in DIR.

    The node is a vdrive, too: it keeps the roots that you publish (`tahoe vdrive publish`) for those who come anew.
    """
    grid = NewGrid(tuple(map(broker_entry, brokers)), encoding, name, grid_key)
    made = make_introducer(directory, grid, nickname, _founder_roles(roles))
    key_file = grid_key or directory.with_name(directory.resolve().name + ".grid-key")
    click.echo(f"The grid's card: {made.card}   (a secret: whoever has it is let in; copy it to friends)")
    click.echo(f"The grid's key:  {key_file}   (yours alone; no running node needs it, keep it elsewhere)")
    click.echo(f"Next: tahoe start {directory}, then tahoe create-node ANOTHER_DIR --grid {made.card}")
    click.echo(f"And for a root that all share, global: tahoe vdrive publish global --grid-key {key_file}")


@click.command()
@click.argument("directory", metavar="DIR", type=NEW_DIRECTORY)
@click.option(
    "--grid",
    "card",
    metavar="CARD",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The grid card, grid.toml.",
)
@click.option(
    "--recovery",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="In place of --grid: bring a lost node back, from what tahoe recovery export wrote.",
)
@passphrase_option
@click.option(
    "--roles",
    default="storage,client",
    show_default=True,
    help="storage, client, vdrive, caretaker; several with commas. A client has a caretaker anyway; a caretaker "
    "without client holds verify capabilities only, and looks after what friends ask it to.",
)
@click.option("--nickname", default=platform.node, help="What people call this node. Default: the machine's name.")
@click.option("--location", default="", help="site/rack/host; nodes that share it are thought to fail together.")
@click.option("--web-port", type=click.IntRange(0, 65535), default=0, help="The gateway's port. Default: any free one.")
@click.option("--sizelimit", type=SizeText(), help="Most bytes of shares to keep, such as 10G. Default: no limit.")
@click.option("--reserved-space", type=SizeText(), help="Bytes of the disk to leave free. Default: 1G.")
def create_node(  # noqa: PLR0913, PLR0917  # as above
    directory: Path,
    card: Path | None,
    recovery: Path | None,
    passphrase_file: Path | None,
    roles: str,
    nickname: str,
    location: str,
    web_port: int,
    sizelimit: ByteSize | None,
    reserved_space: ByteSize | None,
) -> None:
    """Make a node in DIR, which must be new or empty.

    With --recovery it comes back as the node it was, with its private root, aliases and secrets: never run both.
    """
    usual = StorageSection()
    try:
        config = NodeConfig(
            node=NodeSection(_roles(roles), nickname, location),
            storage=StorageSection(
                sizelimit=usual.sizelimit if sizelimit is None else sizelimit,
                reserved_space=usual.reserved_space if reserved_space is None else reserved_space,
            ),
            client=ClientSection(web_port),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if (card is None) == (recovery is None):
        raise click.UsageError("give --grid CARD; or, to bring a lost node back, --recovery FILE")
    if card is not None:
        make_node(directory, GridCard.load(card), config)
    elif recovery is not None:
        belongings = open_recovery(recovery, passphrase_file)
        make_node(directory, card_of(belongings), config, files_of(belongings))
    click.echo(f"Made {directory}; its options are in {directory / 'tahoe.toml'}. Next: tahoe start {directory}")


def _roles(text: str) -> tuple[str, ...]:
    return tuple(role.strip() for role in text.split(","))


def _founder_roles(text: str) -> tuple[str, ...]:
    """Return the roles of a grid's first node, checked before anything is made."""
    roles = _roles(text)
    try:
        NodeSection(roles)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if INTRODUCER not in roles:
        raise click.UsageError("a grid begins with an introducer; --roles must name it")
    return roles


def broker_entry(text: str) -> BrokerEntry:
    """Return the broker that a URL or a ``broker.toml`` names."""
    path = Path(text)
    if "://" not in text:
        if not path.exists():
            raise BadConfiguration(
                f"{text} is no broker: give mqtt://host:port, or the broker.toml of tahoe broker run"
            )
        return read_toml(path, BrokerEntry)
    return BrokerEntry.from_url(text)
