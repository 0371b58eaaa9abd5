"""The command ``tahoe``: its table of commands, and what a user sees when one fails.

Starting up must be quick, since scripts call this once per file. So this module imports click and nothing of ours
but the table; a new command is a row here and a module that holds it.

Exit status: 0 done, 1 failed, 2 wrongly called. A failure is one line that names the remedy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

import click

from tahoe.cli.lazy import Entry, LazyGroup
from tahoe.errors import TahoeError

COMMANDS: Final = {
    "create-introducer": Entry(
        "tahoe.cli.create:create_introducer", "Found a grid: its key, its card, its introducer."
    ),
    "create-node": Entry("tahoe.cli.create:create_node", "Make a storage and/or client node that joins a grid."),
    "grid": Entry("tahoe.cli.grid:grid", "For a grid's owner: sign what all nodes obey."),
    "run": Entry("tahoe.cli.run:run", "Run nodes in the foreground."),
    "start": Entry("tahoe.cli.background:start", "Run nodes in the background."),
    "stop": Entry("tahoe.cli.background:stop", "Stop nodes."),
    "restart": Entry("tahoe.cli.background:restart", "Stop nodes and start them again."),
    "account": Entry("tahoe.cli.account:account", "Say who may keep how much on a storage server."),
    "usage": Entry("tahoe.cli.usage:usage", "Show what is kept: mine by server, on my server by account."),
    "undelete": Entry("tahoe.cli.undelete:undelete", "Bring shares back from a storage server's trash."),
    "status": Entry("tahoe.cli.status:status", "Show a node's state, and what a doctor would say."),
    "webopen": Entry("tahoe.cli.webopen:webopen", "Open the node's pages in a browser."),
    "broker": Entry("tahoe.cli.broker:broker", "A broker to start with."),
    "put": Entry("tahoe.cli.transfer:put", "Store a file; prints its capability."),
    "get": Entry("tahoe.cli.transfer:get", "Fetch a file by its capability."),
    "backup": Entry("tahoe.cli.backup:backup", "Save a directory in the grid; only what changed is sent."),
    "restore": Entry("tahoe.cli.restore:restore", "Bring a directory of the grid back here, with times and modes."),
    "ls": Entry("tahoe.cli.listing:ls", "List a directory."),
    "mkdir": Entry("tahoe.cli.linking:mkdir", "Make a directory."),
    "rm": Entry("tahoe.cli.linking:rm", "Take things out of their directories."),
    "unlink": Entry("tahoe.cli.linking:rm", "The same as rm."),
    "cp": Entry("tahoe.cli.copying:cp", "Copy files and trees, to, from and within the grid."),
    "mv": Entry("tahoe.cli.copying:mv", "Move files and trees, to, from and within the grid."),
    "ln": Entry("tahoe.cli.linking:ln", "Give a thing another name, too."),
    "check": Entry("tahoe.cli.check:check", "Ask the servers whether what is stored is still there."),
    "verify": Entry("tahoe.cli.check:verify", "Look at every byte of what is stored."),
    "repair": Entry("tahoe.cli.check:repair", "Make shares that are missing anew."),
    "health": Entry("tahoe.cli.health:health", "Say whether all that is looked after is safe, and if not, why."),
    "care": Entry("tahoe.cli.care:care", "What is looked after unasked."),
    "drain": Entry("tahoe.cli.drain:drain", "Leave a grid: others move what they keep here."),
    "server": Entry("tahoe.cli.care:server", "Say that a server is gone for good."),
    "manifest": Entry("tahoe.cli.walking:manifest", "Print everything below a directory."),
    "stats": Entry("tahoe.cli.walking:stats", "Count what is below a directory."),
    "create-alias": Entry("tahoe.cli.aliascommands:create_alias", "Make a directory and give it an alias."),
    "add-alias": Entry("tahoe.cli.aliascommands:add_alias", "Give something an alias."),
    "remove-alias": Entry("tahoe.cli.aliascommands:remove_alias", "Forget an alias."),
    "list-aliases": Entry("tahoe.cli.aliascommands:list_aliases", "List the aliases."),
    "vdrive": Entry("tahoe.cli.vdrive:vdrive", "The grid's named roots: list, publish, retract."),
    "recovery": Entry("tahoe.cli.recovery:recovery", "A locked file that brings everything back on a bare machine."),
    "demo": Entry("tahoe.cli.demo:demo", "See a whole grid survive the loss of seven of ten servers."),
    "debug": Entry("tahoe.cli.debug:debug", "Look inside shares and capabilities; no grid needed."),
}


def _show_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  # click's order
    if not wanted:
        return
    from tahoe import __version__  # noqa: PLC0415  # start-up time
    from tahoe.codec.erasure import engine_name  # noqa: PLC0415  # start-up time

    click.echo(f"tahoe {__version__}, erasure coding by {engine_name()}, Python {sys.version.split()[0]}")
    ctx.exit()


@click.group(cls=LazyGroup, table=COMMANDS, name="tahoe", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Say which release this is and what computes erasure codes.",
)
def tahoe() -> None:
    """Store files on the machines of friends, none of whom can read them.

    A grid needs a broker and an introducer; `tahoe demo` shows one at work.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its status."""
    try:
        status = tahoe.main(arguments, standalone_mode=False)
    except click.UsageError as error:
        error.show()
        status = 2
    except click.ClickException as error:
        status = _fail(error.format_message())
    except TahoeError as error:
        status = _fail(str(error) or type(error).__name__)
    except (click.Abort, KeyboardInterrupt):
        status = _fail("interrupted")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has no reader, either
        status = 1
    except OSError as error:
        status = _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))
    sys.exit(status if isinstance(status, int) else 0)


def _fail(text: str) -> int:
    click.echo(f"tahoe: {text}", err=True)
    return 1


if __name__ == "__main__":
    main()
