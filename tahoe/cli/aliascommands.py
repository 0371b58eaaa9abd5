"""``create-alias``, ``add-alias``, ``remove-alias`` and ``list-aliases``."""

from __future__ import annotations

import json
import re
from typing import Final

import click

from tahoe.cli.aliases import Aliases
from tahoe.cli.gateway import Gateway, with_gateway
from tahoe.cli.locations import Locations
from tahoe.cli.nodes import ask_text
from tahoe.cli.values import CapabilityText, json_option
from tahoe.errors import BadConfiguration

ROOT_NAMES: Final = ("private", "global")
"""Names that mean the same to everybody."""

_NAME: Final = re.compile(r"[^\s:/#@-][^\s:/]*")


class AliasName(click.ParamType):  # type: ignore[type-arg]  # generic in click's newest releases only
    """A name for an alias; a colon at its end, as in a path, does no harm."""

    name = "name"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it without the colon."""
        name = value.removesuffix(":")
        if not _NAME.fullmatch(name) or not name.isprintable():
            self.fail("an alias is a word without blanks, : and /", param, ctx)
        return name


@click.command()
@click.argument("name", metavar="ALIAS", type=AliasName())
@with_gateway
def create_alias(gateway: Gateway, name: str) -> None:
    """Make a directory and call it ALIAS. Prints nothing secret; the capability is in private/aliases of the node."""
    aliases = _free(gateway, name)
    aliases.add(name, gateway.text("POST", "/uri?t=mkdir"))
    click.echo(f"Made a directory; you find it as {name}:")


@click.command()
@click.argument("name", metavar="ALIAS", type=AliasName())
@click.argument("cap", metavar="CAP", type=CapabilityText())
@with_gateway
def add_alias(gateway: Gateway, name: str, cap: str) -> None:
    """Call what CAP names ALIAS. CAP may be - (a line of standard input), @FILE, or a path such as global:letters."""
    aliases = _free(gateway, name)
    aliases.add(name, ask_text(gateway, "GET", Locations(gateway.directory).find(cap), t="uri"))
    click.echo(f"You find it as {name}:")


@click.command()
@click.argument("name", metavar="ALIAS", type=AliasName())
@click.option("--show", is_flag=True, help="Print the capability: without it nobody finds the thing again.")
@with_gateway
def remove_alias(gateway: Gateway, name: str, *, show: bool) -> None:
    """Forget what ALIAS names. Nothing in the grid changes."""
    capability = Aliases(gateway.directory).remove(name)
    click.echo(capability if show else f"Forgot {name}:")


@click.command()
@click.option("--readonly-uri", "read_only", is_flag=True, help="Show capabilities that only read.")
@click.option("--uri", "caps", is_flag=True, help="Show capabilities. Secrets!")
@json_option
@with_gateway
def list_aliases(gateway: Gateway, *, caps: bool, read_only: bool, as_json: bool) -> None:
    """List the aliases of this node."""
    known = Aliases(gateway.directory).load()
    if read_only:
        known = {name: _weakened(cap) for name, cap in known.items()}
    if as_json:
        click.echo(json.dumps({"aliases": known}))
        return
    for name, cap in sorted(known.items()):
        click.echo(f"{name}: {cap}" if caps or read_only else f"{name}:")


def _free(gateway: Gateway, name: str) -> Aliases:
    """Return the aliases, to which one of this name can be added.

    Raises:
        BadConfiguration: it can't.
    """
    aliases = Aliases(gateway.directory)
    if name in ROOT_NAMES:
        raise BadConfiguration(f"{name}: is a root; an alias needs another name")
    if name in aliases.load():
        raise BadConfiguration(f"there is an alias {name} already; tahoe remove-alias {name} takes it away")
    return aliases


def _weakened(cap: str) -> str:
    from tahoe.codec.capability import parse  # noqa: PLC0415  # start-up time

    return str(parse(cap).read_only())
