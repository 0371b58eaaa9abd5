"""``run``: nodes in this process, until it is told to end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from tahoe.cli.claim import Claim
from tahoe.cli.drainreport import DrainReport
from tahoe.cli.interruption import interruption, while_stdin_option
from tahoe.cli.reporter import Reporter
from tahoe.cli.usagereport import UsageReport
from tahoe.net.allocator import keep_message_blocks
from tahoe.net.incarnation import Incarnation
from tahoe.net.node import Companion, Node
from tahoe.net.roles import build_crew
from tahoe.protocol import CLIENT
from tahoe.web.status import StatusOf


@click.command()
@click.argument(
    "directories",
    metavar="DIR...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True),
)
@click.option(
    "-q", "--quiet", is_flag=True, help="Write the log to DIR/logs/node.log only, not to standard error, too."
)
@while_stdin_option
def run(directories: tuple[Path, ...], *, quiet: bool, while_stdin: bool) -> None:
    """Run the nodes in DIR..., all in this process, until Ctrl-C."""
    keep_message_blocks()
    asyncio.run(_run(directories, quiet=quiet, while_stdin=while_stdin))


async def _run(directories: Sequence[Path], *, quiet: bool, while_stdin: bool) -> None:
    """Start all nodes, or none; stop them in the opposite order."""
    interrupted = interruption(while_stdin=while_stdin)
    started: list[Node] = []
    with ExitStack() as stack:
        claims = [stack.enter_context(Claim(directory, directories)) for directory in directories]
        try:
            for directory in directories:
                node = Node(directory, build_crew, (_start_gateway, _start_reporter))
                await node.start(terminal=not quiet)
                started.append(node)
            for claim in claims:
                claim.ready()
            await interrupted.wait()
        finally:
            for node in reversed(started):
                await node.stop()


async def _start_gateway(running: Incarnation) -> Companion | None:
    """Start the gateway of a client; a storage server should not even hold a web server in its memory."""
    if CLIENT not in running.actors:
        return None
    from tahoe.web.node import start_gateway  # noqa: PLC0415  # memory

    return await start_gateway(running)


async def _start_reporter(running: Incarnation) -> Reporter:
    usage = UsageReport(running)
    answers = {
        "usage": usage.usage,
        "trash": usage.trash,
        "undelete": usage.undelete,
        "drain": DrainReport(running).tell,
    }
    return await Reporter.start(running.papers.directory.path, StatusOf(running), answers)
