"""``check``, ``verify`` and ``repair``: is what I stored still there, and make it whole if not.

The work is a job of the gateway's; here it is begun, watched and told. Whoever interrupts one has lost nothing: of a tree
it is remembered what has been done, and the same command goes on from there.

Exit status: 0 all is well (now), 1 it is not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from tahoe.cli.checkjobs import run_job
from tahoe.cli.checkreport import describe, describe_tree, is_tree_well, is_well
from tahoe.cli.gateway import Gateway, with_gateway
from tahoe.cli.locations import Locations
from tahoe.cli.values import CapabilityText, json_option

F = TypeVar("F", bound=Callable[..., Any])


def _options(function: F) -> F:
    """Add what the three commands have in common."""
    deep = click.option("--deep", is_flag=True, help="And everything below it, each object once.")
    lease = click.option("--add-lease", is_flag=True, help="Add this node's lease to what is found, or renew it.")
    path = click.argument("path", type=CapabilityText(), default=":")
    return path(deep(lease(json_option(with_gateway(function)))))


@click.command()
@_options
def check(gateway: Gateway, path: str, *, deep: bool, add_lease: bool, as_json: bool) -> None:
    """Ask all servers what they have of PATH. They are believed; `tahoe verify` looks for itself."""
    _run("check", gateway, path, {"add-lease": add_lease}, deep=deep, as_json=as_json)


@click.command()
@_options
def verify(gateway: Gateway, path: str, *, deep: bool, add_lease: bool, as_json: bool) -> None:
    """Fetch every byte of every share of PATH, and check it. No key is needed, and nothing is decrypted."""
    _run("verify", gateway, path, {"add-lease": add_lease}, deep=deep, as_json=as_json)


@click.command()
@click.option(
    "--verify", "looks", is_flag=True, help="Look at every byte first, so that corrupt shares are mended, too."
)
@_options
def repair(  # a command has as many parameters as its user has options
    gateway: Gateway, path: str, *, looks: bool, deep: bool, add_lease: bool, as_json: bool
) -> None:
    """Make the shares of PATH that are missing anew, byte for byte. What is there stays where it is."""
    _run("repair", gateway, path, {"verify": looks, "add-lease": add_lease}, deep=deep, as_json=as_json)


def _run(  # all of it comes from the command line
    verb: str, gateway: Gateway, path: str, flags: Mapping[str, bool], *, deep: bool, as_json: bool
) -> None:
    """Have it done, tell, and exit with the verdict."""
    location = Locations(gateway.directory).find(path)
    query = {name: "true" for name, wanted in flags.items() if wanted}
    if deep:
        target = location.request(t=f"start-deep-{verb}", **query)
        facts = run_job(gateway, target, "objects", lambda progress: progress.get("count-objects-checked", 0))
        well, lines = is_tree_well(facts), describe_tree(facts)
    else:
        target = location.request(t=f"start-{verb}", **query)
        facts = run_job(gateway, target, "steps", lambda progress: progress.get("done", 0))
        well, lines = is_well(facts), describe(facts)
    click.echo(json.dumps(facts) if as_json else "\n".join(lines))
    click.get_current_context().exit(0 if well else 1)
