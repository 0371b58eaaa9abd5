"""``tahoe account``: for the operator of a storage server, who may keep how much on it.

What he says stands in a file of the storage directory; a running server sees it within five minutes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tahoe.cli.values import default_node_directory, human_size, json_option, node_option
from tahoe.errors import BadConfiguration, BadMessage
from tahoe.net.config import NodeConfig
from tahoe.net.directory import NodeDirectory
from tahoe.net.quantities import ByteSize
from tahoe.policy.quota import UNLIMITED, Allowances, Member
from tahoe.protocol import STORAGE, NodeId
from tahoe.session.identity import public_key_of
from tahoe.storage.accounts import LONGEST_NAME
from tahoe.storage.allowances import read_allowances, write_allowances
from tahoe.storage.filesystem import RealFileSystem

UNLIMITED_WORD = "unlimited"


class Quota(click.ParamType):  # type: ignore[type-arg]  # generic in click's newest releases only
    """A size, or ``unlimited``."""

    name = "quota"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return bytes, or -1."""
        if value == UNLIMITED_WORD:
            return UNLIMITED
        try:
            return int(ByteSize.parse(str(value)))
        except ValueError as error:
            self.fail(f"{error}, or {UNLIMITED_WORD}", param, ctx)


@click.group()
def account() -> None:
    """Say who may keep how much on a storage server.

    Accounts are nodes, members with several nodes, and "roots", that of the grid's named roots. Whoever is not named here
    shares one pool with all others who are not, since anybody in the grid can make another node.
    """


@account.command()
@click.argument("name", required=False)
@click.argument("quota", type=Quota(), required=False)
@click.option("--node", "nodes", multiple=True, metavar="NODE", help="A node that is this member's; may be repeated.")
@click.option("--others", type=Quota(), help="What all who are not named may keep together.")
@node_option
def allow(
    name: str | None, quota: int | None, nodes: tuple[str, ...], others: int | None, node_directory: Path | None
) -> None:
    """Let account NAME keep QUOTA: a size such as 50G, or unlimited.

    NAME is a node's id (see tahoe status), or any name for somebody whose nodes are told with --node.
    """
    if (name is None) != (quota is None) or (name is None and others is None):
        raise click.UsageError("give NAME and QUOTA, or --others QUOTA")
    filesystem = _storage_of(node_directory)
    allowances = read_allowances(filesystem)
    members = dict(allowances.members)
    if name is not None and quota is not None:
        _check_names(name, nodes)
        members[name] = Member(quota, nodes or members.get(name, Member()).nodes)
    write_allowances(filesystem, Allowances(members, allowances.pool if others is None else others))


@account.command()
@click.argument("name")
@node_option
def forget(name: str, node_directory: Path | None) -> None:
    """Let account NAME share the pool of all who are not named."""
    filesystem = _storage_of(node_directory)
    allowances = read_allowances(filesystem)
    if name not in allowances.members:
        raise click.ClickException(f"there is no account {name}; see tahoe account list")
    members = {other: member for other, member in allowances.members.items() if other != name}
    write_allowances(filesystem, Allowances(members, allowances.pool))


@account.command("list")
@node_option
@json_option
def list_accounts(node_directory: Path | None, *, as_json: bool) -> None:
    """Show who may keep how much. What they do keep, tahoe usage shows."""
    allowances = read_allowances(_storage_of(node_directory))
    if as_json:
        members = {name: _facts(member) for name, member in allowances.members.items()}
        click.echo(json.dumps({"members": members, "others": _plain(allowances.pool)}))
        return
    width = max(map(len, (*allowances.members, "all others together")))
    for name, member in sorted(allowances.members.items()):
        click.echo(f"{name:{width}}  {words_of(member.quota):>12}  {' '.join(member.nodes)}".rstrip())
    click.echo(f"{'all others together':{width}}  {words_of(allowances.pool):>12}")


def words_of(quota: int | None) -> str:
    """A quota for people."""
    return UNLIMITED_WORD if quota is None or quota == UNLIMITED else human_size(quota)


def _storage_of(node_directory: Path | None) -> RealFileSystem:
    directory = NodeDirectory(node_directory or default_node_directory())
    directory.check()
    config = NodeConfig.load(directory.config)
    if STORAGE not in config.roles:
        raise click.ClickException(f"the node in {directory.path} is no storage server")
    return RealFileSystem(directory.path / config.storage.directory)


def _check_names(name: str, nodes: tuple[str, ...]) -> None:
    """Refuse what would never be anybody's account."""
    if not 0 < len(name.encode()) <= LONGEST_NAME or any(letter.isspace() for letter in name):
        raise click.UsageError(f"NAME has no spaces and at most {LONGEST_NAME} bytes")
    for node in (*nodes, *([name] if name.startswith("v0-") else ())):
        try:
            public_key_of(NodeId(node))
        except BadMessage as error:
            raise BadConfiguration(f"{error}; tahoe status of that node shows its id") from error


def _facts(member: Member) -> dict[str, Any]:
    return {"quota": _plain(member.quota), "nodes": list(member.nodes)}


def _plain(quota: int) -> int | None:
    return None if quota == UNLIMITED else quota
