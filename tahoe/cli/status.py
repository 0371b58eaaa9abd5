"""``status``: is the node up, whom does it see, what would a doctor say?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from tahoe.cli.claim import is_ready, runner
from tahoe.cli.doctor import Finding, examine
from tahoe.cli.report import ask_for_report
from tahoe.cli.values import default_node_directory, human_size, human_time, json_option

Report = Mapping[str, Any]


@click.command()
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path))
@json_option
@click.pass_context
def status(ctx: click.Context, directory: Path | None, *, as_json: bool) -> None:
    """Show the state of the node in DIR and what is wrong with it. Fails if it does not run."""
    directory = directory or default_node_directory()
    if not (directory / "format").exists():
        raise click.ClickException(f"there is no node in {directory}; make one: tahoe create-node {directory}")
    pid = runner(directory)
    report = None if pid is None else ask_for_report(directory)
    findings = examine(directory, report)
    if as_json:
        facts = {"running": pid is not None, "ready": is_ready(directory), "pid": pid, **(report or {})}
        click.echo(json.dumps(facts | {"findings": [finding._asdict() for finding in findings]}))
    else:
        click.echo("\n".join(_page(directory, pid, report, findings)))
    ctx.exit(0 if report is not None else 1)


def _page(directory: Path, pid: int | None, report: Report | None, findings: list[Finding]) -> Iterable[str]:
    if report is not None:
        yield from _describe(report, pid)
    elif pid is None:
        yield f"The node in {directory} is not running. Start it: tahoe start {directory}"
    else:
        yield f"The node in {directory} (process {pid}) is starting or does not answer."
    yield ""
    for finding in findings:
        yield f"{finding.level.capitalize()}, {finding.subject}: {finding.text}"
    if not findings:
        yield "All is well."


def _describe(report: Report, pid: int | None) -> Iterable[str]:
    node, grid = report["node"], report["grid"]
    yield f"{node['nickname']}: {', '.join(node['roles'])}; up for {_ago(report, node['started'])}, process {pid}"
    yield f"  id        {node['id']}"
    if report["gateway"]:
        yield f"  gateway   {report['gateway']}"
    encoding = "/".join(map(str, grid["encoding"] or "???"))
    yield f"  grid      {grid['name'] or grid['id']}; {encoding} (needed/happy/total shares)"
    for broker in report["brokers"]:
        yield f"  broker    {broker['url']}: {_connection(report, broker)}"
    for introducer in report["introducers"]:
        yield f"  introducer {introducer['nickname'] or introducer['node'][:12]}: {_connection(report, introducer)}"
    if report["storage"] is not None:
        yield f"  keeps     {report['storage']['shares']} shares; room for {human_size(report['storage']['available'])}"
    yield from _servers(report["servers"])


def _servers(servers: list[Mapping[str, Any]]) -> Iterable[str]:
    present = sum(server["online"] is not False for server in servers)
    yield f"  servers   {present} of {len(servers)} there"
    width = max((len(server["nickname"]) for server in servers), default=0)
    words = {True: "there", False: "gone", None: "not known"}
    for server in sorted(servers, key=lambda server: server["nickname"]):
        room = f"{human_size(server['available'])} free"
        yield f"    {server['nickname']:{width}}  {words[server['online']]:9}  {room:>14}  {server['software']}"


def _connection(report: Report, peer: Mapping[str, Any]) -> str:
    state = "connected" if peer["connected"] else "not connected"
    if peer["since"] is not None:
        state += f" for {_ago(report, peer['since'])}"
    return f"{state} ({peer['problem']})" if peer["problem"] else state


def _ago(report: Report, when: float) -> str:
    return human_time(max(0.0, report.get("now", time.time()) - when))
