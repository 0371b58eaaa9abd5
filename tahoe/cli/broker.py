"""``tahoe broker``: a broker to start with."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from tahoe.cli.interruption import interruption, while_stdin_option
from tahoe.errors import BadConfiguration
from tahoe.net.broker import LOOPBACK, BrokerPlan, RunningBroker, start_broker
from tahoe.net.card import BrokerEntry, GridCard
from tahoe.net.directory import with_broker
from tahoe.net.keys import replace_file
from tahoe.net.toml import write_value

ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  # refused, not bound
DEFAULT_PORT = 1883
DEFAULT_TLS_PORT = 8883


@click.group()
def broker() -> None:
    """A broker to start with."""


@broker.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Default: 1883, with TLS 8883; 0: any free one.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "embedded", "mosquitto"]),
    default="auto",
    show_default=True,
    help="embedded needs nothing installed and stays on this machine; auto takes mosquitto where there is one.",
)
@click.option("--listen", metavar="ADDRESS", default=LOOPBACK, show_default=True, help="The address that others dial.")
@click.option("--tls", is_flag=True, help="With a certificate of an authority of its own.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where authority, password and broker.toml are kept. Default: tahoe-broker in your data directory.",
)
@click.option(
    "--card",
    "cards",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A grid card to enter this broker into, first of all. May be repeated.",
)
@while_stdin_option
def run(  # noqa: PLR0913  # a command has as many parameters as its user has options
    *,
    while_stdin: bool,
    port: int | None,
    engine: str,
    listen: str,
    tls: bool,
    directory: Path | None,
    cards: tuple[Path, ...],
) -> None:
    """Run a broker until it is interrupted.

    What a client needs to get in stands in broker.toml, for `tahoe create-introducer --broker`.
    """
    if listen in ANYWHERE:
        raise BadConfiguration("--listen takes the address that other machines dial; it goes into the grid card")
    if port is None:
        port = DEFAULT_TLS_PORT if tls else DEFAULT_PORT
    plan = BrokerPlan(directory or _default_directory(), engine, listen, port, tls)  # type: ignore[arg-type]  # click checked the choice
    asyncio.run(_serve(plan, cards, while_stdin=while_stdin))


def write_entry(path: Path, entry: BrokerEntry) -> None:
    """Write what a client needs to get into a broker; holds a password, so for its owner's eyes only."""
    fields = {name: getattr(entry, name) for name in entry.__struct_fields__}
    lines = [f"{name} = {write_value(value)}\n" for name, value in fields.items() if value]
    replace_file(path, "".join(lines).encode())


async def _serve(plan: BrokerPlan, cards: tuple[Path, ...], *, while_stdin: bool) -> None:
    interrupted = interruption(while_stdin=while_stdin)
    running = await start_broker(plan)
    try:
        _publish(running, plan.directory / "broker.toml", cards)
        await _until_ended(running, interrupted)
    finally:
        await running.stop()


def _publish(running: RunningBroker, file: Path, cards: tuple[Path, ...]) -> None:
    """Say where the broker is."""
    write_entry(file, running.entry)
    for path in cards:
        with_broker(GridCard.load(path), running.entry).replace(path)
    click.echo(f"{running.engine} broker on {running.entry.url}")
    click.echo(f"Found a grid with it: tahoe create-introducer DIR --broker {file}")


async def _until_ended(running: RunningBroker, interrupted: asyncio.Event) -> None:
    """Wait for the interruption.

    Raises:
        BrokerFailed: the broker ended first.
    """
    ended, wanted = (
        asyncio.ensure_future(running.wait()),
        asyncio.ensure_future(interrupted.wait()),
    )
    await asyncio.wait((ended, wanted), return_when=asyncio.FIRST_COMPLETED)
    wanted.cancel()
    if ended.done():
        await ended
    ended.cancel()


def _default_directory() -> Path:
    from platformdirs import user_data_path  # noqa: PLC0415  # start-up time

    return user_data_path("tahoe-broker")
