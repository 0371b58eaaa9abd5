"""``tahoe demo``: a grid comes up, a file goes in, seven of ten servers are killed, the file comes back. Then all is mended."""

from __future__ import annotations

import hashlib
import random
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

import click

from tahoe.actors.roots import GLOBAL_ROOT
from tahoe.cli.gateway import BLOCK, Gateway
from tahoe.cli.local_grid import GridPlan, LocalGrid
from tahoe.cli.mending import Mending
from tahoe.cli.narrator import Narrator
from tahoe.cli.values import human_size
from tahoe.protocol import Encoding

FILE_PATH: Final = "letters/to-friends"
FILE_BYTES: Final = 10_000_000
NEEDED: Final = 3
HAPPY: Final = 7
TOTAL: Final = 10


@click.command()
@click.option("--keep", is_flag=True, help="Leave the grid and its gateway up until Ctrl-C.")
@click.option("--servers", type=click.IntRange(NEEDED + 1, 100), default=10, show_default=True, help="Storage servers.")
@click.option(
    "--engine",
    type=click.Choice(["embedded", "mosquitto"]),
    default="embedded",
    show_default=True,
    help="The broker that carries everything.",
)
@click.option("--web-port", type=click.IntRange(0, 65535), default=0, help="The gateway's port. Default: any free one.")
def demo(*, keep: bool, servers: int, engine: str, web_port: int) -> None:
    """See a whole grid survive the loss of all but three servers, and mend. Leaves nothing behind."""
    narrator = Narrator()
    with _scratch() as root, _ending_politely():
        encoding = Encoding(NEEDED, min(HAPPY, servers), max(TOTAL, servers))
        with LocalGrid(GridPlan(root, servers, encoding, engine, web_port)) as grid:
            _Story(narrator, grid).tell(keep=keep)
    narrator.ended("All processes have ended and all files are gone.")


class _Story:
    """What happens, in plain words."""

    def __init__(self, narrator: Narrator, grid: LocalGrid) -> None:
        self._narrator = narrator
        self._grid = grid
        self._began = time.monotonic()

    def tell(self, *, keep: bool) -> None:
        """Tell it to its end.

        Raises:
            ClickException: the file did not come back as it was.
        """
        self._come_up()
        content = random.Random(secrets.randbits(64)).randbytes(FILE_BYTES)
        cap = self._store(content)
        victims = self._kill()
        self._fetch(content, f"the {NEEDED} servers that are left")
        self._narrator.said(f"That took {time.monotonic() - self._began:.0f} s from nothing.")
        Mending(self._narrator, self._grid, victims).tell()
        self._fetch(content, "what was mended")
        if keep:
            self._stay(cap)

    def _come_up(self) -> None:
        grid, plan = self._grid, self._grid.plan
        with self._narrator.doing("A broker starts"):
            broker = grid.start_broker()
        self._narrator.said(f"A broker ({plan.engine}) carries messages on {broker.url}.")
        with self._narrator.doing(f"An introducer, {plan.servers} storage servers and a client start"):
            grid.make_nodes(broker)
            grid.start_nodes()
            grid.publish_global()
        self._narrator.said(
            f"A grid is up: an introducer, {plan.servers} storage servers and a client, a process each."
        )

    def _store(self, content: bytes) -> str:
        encoding = self._grid.plan.encoding
        with self._narrator.doing("A file is encrypted, cut into shares and stored") as clock:
            cap = Gateway(self._grid.client).text("PUT", f"/vdrive/{GLOBAL_ROOT}/{FILE_PATH}", content)
        size, share = human_size(len(content)), human_size(len(content) / encoding.needed)
        self._narrator.said(
            f"A file of {size} is stored ({clock()}): encrypted, and cut into {encoding.total} shares of about {share},"
            f"\nany {encoding.needed} of which give it back. Its SHA-256 begins with {_digest(content)}."
        )
        self._narrator.said(
            f"All friends in this grid find it as [bold]{GLOBAL_ROOT}:{FILE_PATH}[/bold]; so the directories on the way"
            f" are in shares, too.\nOthers need its capability, and nobody can read it without:\n[dim]{cap}[/dim]"
        )
        return cap

    def _kill(self) -> list[str]:
        grid = self._grid
        victims = random.Random(secrets.randbits(64)).sample(grid.server_names, grid.plan.servers - NEEDED)
        ids = ", ".join(str(grid.process_id(name)) for name in sorted(victims))
        grid.kill(victims)
        self._narrator.said(
            f"[bold red]{len(victims)} of {grid.plan.servers} storage servers are killed[/bold red]"
            f" (SIGKILL to processes {ids})."
        )
        return victims

    def _fetch(self, content: bytes, source: str) -> None:
        with self._narrator.doing(f"The file is fetched from {source}") as clock:
            response = Gateway(self._grid.client).request("GET", f"/vdrive/{GLOBAL_ROOT}/{FILE_PATH}")
            digest = hashlib.sha256()
            while block := response.read(BLOCK):
                digest.update(block)
        if digest.digest() != hashlib.sha256(content).digest():
            raise click.ClickException("the file did not come back as it was: please report this")
        self._narrator.said(
            f"[bold green]The file comes back from {source}, identical[/bold green] ({clock()}, SHA-256 {_digest(content)})."
        )

    def _stay(self, cap: str) -> None:
        client = self._grid.client
        url = (client / "node.url").read_text().strip()
        self._narrator.said(
            f"[bold]The gateway is at {url}[/bold]; its pages open with\n"
            f"\n  tahoe webopen -d {client}\n"
            f"\nand the commands work, for example:\n"
            f"\n  tahoe webopen -d {client}     [dim]# its pages, in a browser; --print gives the address[/dim]"
            f"\n  tahoe ls -d {client} -l {GLOBAL_ROOT}:"
            f"\n  tahoe put -d {client} FILE {GLOBAL_ROOT}:"
            f"\n  tahoe get -d {client} {cap} | sha256sum"
            f"\n  tahoe status {client}\n"
            f"\n[bold]Ctrl-C ends it.[/bold]"
        )
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@contextmanager
def _scratch() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="tahoe-demo-"))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def _ending_politely() -> Iterator[None]:
    """Let SIGTERM, and SIGINT even where a shell had it ignored, end the story by way of every ``finally``."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
