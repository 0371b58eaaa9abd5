"""``recovery``: all that a person has in a grid, in one file that a passphrase locks; and the node that it brings back."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from tahoe.cli.gateway import Gateway, with_gateway
from tahoe.cli.names import shown
from tahoe.cli.recoveryfile import NONCE_BYTES, SALT_BYTES, Belongings, seal, unseal
from tahoe.cli.recoverynode import card_of, gather, has_private_root
from tahoe.errors import BadConfiguration

F = TypeVar("F", bound=Callable[..., Any])

SHORTEST: Final = 10
"""Characters of a passphrase."""


def passphrase_option(function: F) -> F:
    """Add ``--passphrase-file``."""
    option = click.option(
        "--passphrase-file",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
        help="A file whose first line is the passphrase; - for standard input. Default: you are asked.",
    )
    return option(function)


@click.group()
def recovery() -> None:
    """Keep what it takes to have everything back when this machine is gone."""


@recovery.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_option
@with_gateway
def recovery_export(gateway: Gateway, file: Path, passphrase_file: Path | None) -> None:
    """Write FILE: the grid's card, your private root, your aliases, and the node's secrets, locked by a passphrase.

    Keep FILE somewhere else, and the passphrase in yet another place: with both, `tahoe create-node DIR --recovery
    FILE` brings everything back on a bare machine. Write a new one after you have made new aliases.
    """
    if not has_private_root(gateway.directory):
        gateway.text("POST", "/vdrive/private?t=mkdir")  # or what is put there later would be lost
    belongings = gather(gateway.directory)
    passphrase = _new_passphrase(passphrase_file)
    data = seal(belongings, passphrase, secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES))
    _write_new(file, data)
    click.echo(f"Wrote {file}: {_contents(belongings)}.")


@recovery.command("show")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@passphrase_option
def recovery_show(file: Path, passphrase_file: Path | None) -> None:
    """Say what is in FILE, without its secrets: to see that it is whole and that you know the passphrase."""
    belongings = open_recovery(file, passphrase_file)
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(belongings.made))
    click.echo(f"Made {made}: {_contents(belongings)}.")
    for name in sorted(belongings.aliases):
        click.echo(f"  {shown(name)}:")


def open_recovery(file: Path, passphrase_file: Path | None) -> Belongings:
    """Open a recovery file.

    Raises:
        BadConfiguration: it can't be opened.
    """
    data = file.read_bytes()
    text = _first_line(passphrase_file)
    return unseal(data, click.prompt("Passphrase", hide_input=True, err=True) if text is None else text)


def _new_passphrase(file: Path | None) -> str:
    """Return a passphrase that is worth the name.

    Raises:
        ClickException: it is not.
    """
    text = _first_line(file)
    if text is None:
        text = str(click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True))
    if len(text) < SHORTEST:
        raise click.ClickException(
            f"this passphrase opens everything you have in the grid: take {SHORTEST} characters or more, best six random words"
        )
    return text


def _first_line(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        with click.open_file(str(file), encoding="utf-8") as lines:
            return str(lines.readline()).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise BadConfiguration(f"{file}: a passphrase is UTF-8 text") from error


def _write_new(path: Path, data: bytes) -> None:
    """Write a new file for its owner's eyes only, durable on return.

    Raises:
        BadConfiguration: there is one of this name.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise BadConfiguration(f"{path}: exists already and is not overwritten") from error
    with open(handle, "wb") as file:  # noqa: PTH123  # of a descriptor
        file.write(data)
        file.flush()
        os.fsync(handle)


def _contents(belongings: Belongings) -> str:
    aliases = len(belongings.aliases)
    grid = card_of(belongings).name or card_of(belongings).grid_id
    return f"the card of the grid {shown(grid)}, the private root, {aliases} alias{'es' * (aliases != 1)}, and the node's secrets"
