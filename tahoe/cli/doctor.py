"""What a doctor would say of a node: what is wrong, and what to do about it.

Of a node that runs, most stands in its report. One that does not is examined from outside: does its configuration
hold, does its broker answer? Only that needs the modules of a running node, so only then are they loaded.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tahoe.cli.values import human_size, human_time
from tahoe.errors import TahoeError

CLOCK_TOLERANCE: Final = 600.0
"""Seconds by which clocks may differ before anybody should care: leases last for a month."""

DIAL_SECONDS: Final = 5.0
MOST_NAMES: Final = 10
"""Servers that are named one by one."""

SECRETS: Final = (
    "node.key",
    "grid.toml",
    "private/api_token",
    "private/convergence",
    "private/secret",
    "private/aliases",
)

Report = Mapping[str, Any]


class Finding(NamedTuple):
    """Something to know: ``problem`` when the node can't do its work, else ``warning``."""

    level: str
    subject: str
    text: str


def examine(directory: Path, report: Report | None) -> list[Finding]:
    """Return what is wrong with a node, the worst first.

    Args:
        directory: the node's.
        report: what it says of itself; None if it does not run.
    """
    findings = [*_permissions(directory), *_own_clock(directory)]
    findings += _stopped(directory) if report is None else _running(report)
    return sorted(findings, key=lambda finding: finding.level != "problem")


def remedies(report: Report) -> list[str]:
    """Return what keeps a node that runs from reaching its grid, and what to try."""
    found = [finding.text for finding in (*_broker(report), *_servers(report)) if finding.level == "problem"]
    gone = sorted(_absence(report, server) for server in report["servers"] if server["online"] is False)
    if gone and any(broker["connected"] for broker in report["brokers"]):
        found.append(f"not there now: {', '.join(gone[:MOST_NAMES])}{' ...' * (len(gone) > MOST_NAMES)}")
    return [*found, "see tahoe status; try again when that is mended"] if found else []


def _absence(report: Report, server: Mapping[str, Any]) -> str:
    """Return who is not there and, if this node has ever heard of him, since when."""
    heard = server.get("heard")
    return str(server["nickname"]) + ("" if heard is None else f" (last heard {human_time(report['now'] - heard)} ago)")


def _permissions(directory: Path) -> Iterator[Finding]:
    if os.name != "posix":
        return
    for path in map(directory.joinpath, SECRETS):
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield Finding("problem", "permissions", f"{path} is open to other users: chmod 600 {path}")


def _own_clock(directory: Path) -> Iterator[Finding]:
    made = (directory / "format").stat().st_mtime
    if time.time() < made - CLOCK_TOLERANCE:
        yield Finding("problem", "clock", f"it is before {time.ctime(made)}, when this node was made: set the clock")


def _stopped(directory: Path) -> Iterator[Finding]:
    """Examine what a node would need to start."""
    from tahoe.net.card import GridCard  # noqa: PLC0415  # start-up time
    from tahoe.net.config import NodeConfig  # noqa: PLC0415  # start-up time
    from tahoe.net.directory import NodeDirectory  # noqa: PLC0415  # start-up time

    node = NodeDirectory(directory)
    try:
        node.check()
        NodeConfig.load(node.config)
        node.load_identity()
        brokers = GridCard.load(node.card).brokers
    except TahoeError as error:
        yield Finding("problem", "configuration", str(error))
        return
    failures = [failure for broker in brokers if (failure := _dial(broker.host, broker.port))]
    if len(failures) == len(brokers):
        yield Finding("problem", "broker", f"no broker answers ({'; '.join(failures)}): start one, or mend grid.toml")


def _dial(host: str, port: int) -> str:
    """Return why a broker can't be reached; nothing if it can."""
    try:
        socket.create_connection((host, port), timeout=DIAL_SECONDS).close()
    except OSError as error:
        return f"{host} port {port}: {error.strerror or error}"
    return ""


def _running(report: Report) -> Iterator[Finding]:
    yield from _broker(report)
    yield from _introducers(report)
    yield from _clocks(report)
    yield from _versions(report)
    yield from _servers(report)
    yield from _space(report)


def _broker(report: Report) -> Iterator[Finding]:
    brokers = report["brokers"]
    if any(broker["connected"] for broker in brokers):
        return
    words = "; ".join(f"{broker['url']}: {_trouble(report, broker)}" for broker in brokers)
    yield Finding("problem", "broker", f"no broker is connected ({words}); is it running, is the network up?")


def _trouble(report: Report, broker: Mapping[str, Any]) -> str:
    """Return why a broker is not connected, and since when."""
    problem = broker["problem"] or "not tried yet"
    return problem if broker["since"] is None else f"{problem}, for {human_time(report['now'] - broker['since'])}"


def _introducers(report: Report) -> Iterator[Finding]:
    introducers = report["introducers"]
    if introducers and not any(introducer["connected"] for introducer in introducers):
        yield Finding(
            "warning", "introducer", "no introducer answers: work goes on with the servers that are known already"
        )


def _clocks(report: Report) -> Iterator[Finding]:
    """Boot numbers are clocks: nobody can have started in the future."""
    ahead = [server for server in report["servers"] if server["epoch"] > report["now"] + CLOCK_TOLERANCE]
    if not ahead:
        return
    far = human_time(max(server["epoch"] for server in ahead) - report["now"])
    if 2 * len(ahead) > len(report["servers"]):
        yield Finding("problem", "clock", f"this machine's clock is behind everybody's, by {far} or more: set it")
        return
    names = ", ".join(server["nickname"] for server in ahead)
    yield Finding("warning", "clock", f"the clock of {names} is ahead of ours by {far} or more")


def _versions(report: Report) -> Iterator[Finding]:
    lowest, highest = report["node"]["protocol_versions"]
    for server in report["servers"]:
        theirs = server["protocol_versions"]
        if theirs[0] > highest:
            yield Finding("problem", "versions", f"{server['nickname']} speaks a later protocol: upgrade this node")
        if theirs[1] < lowest:
            yield Finding(
                "warning", "versions", f"{server['nickname']} speaks an older protocol: its owner should upgrade"
            )


def _servers(report: Report) -> Iterator[Finding]:
    if "client" not in report["node"]["roles"]:
        return
    servers = report["servers"]
    present = sum(server["online"] is not False for server in servers)
    if report["grid"]["encoding"] is None:
        yield Finding("problem", "encoding", f"nothing can be stored: {report['grid']['problem']}; see tahoe.toml")
        return
    needed, happy, _ = report["grid"]["encoding"]
    if present < happy:
        reading = "" if present >= needed else f", and most files can't be read with fewer than {needed}"
        yield Finding(
            "problem",
            "servers",
            f"{present} of {len(servers)} servers are there; storing a file takes {happy}{reading}",
        )


def _space(report: Report) -> Iterator[Finding]:
    space = report["storage"]
    if space is None:
        return
    if space["corrupt"]:
        yield Finding("warning", "storage", f"{space['corrupt']} shares here are corrupt: is the disk failing?")
    if not space["accepts"]:
        yield Finding(
            "warning",
            "space",
            f"this node takes no new shares: it is read-only or full ({human_size(space['available'])} free for shares)",
        )
