"""Plants each defect in a copy of the program and lets the swarm look for it: ``python -m tests.mutants``.

Writes the table in docs/swarm.md between its two marks: defect, seeds that were needed, and what noticed it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import click

from tests.mutants.defects import ROOT, Defect, load_defects

PAGE = ROOT / "docs" / "swarm.md"
BEGIN, END = "<!-- defects: made by python -m tests.mutants -->", "<!-- end of defects -->"
FAILED = re.compile(r"seed (\d+) FAILED: (.*)")


@click.command()
@click.option("--seeds", default=500, show_default=True, help="How many to try for each defect.")
@click.option("--workers", default=2, show_default=True, help="Defects tried at once.")
@click.option("--only", default="", help="Only defects with this in their names.")
@click.option("--missing", is_flag=True, help="Only defects that the page does not show as found.")
def main(*, seeds: int, workers: int, only: str, missing: bool) -> None:
    """Fail if any defect is not found. The page is written after each one, so that a search may be cut short and taken up."""
    rows = _written()
    defects = [defect for defect in load_defects() if only in defect.name]
    if missing:
        defects = [defect for defect in defects if _is_open(rows.get(defect.name, ""))]
    with ThreadPoolExecutor(workers) as pool:
        tried = [pool.submit(_tried, defect, seeds) for defect in defects]
        for done in as_completed(tried):
            name, row = done.result()
            click.echo(row)
            rows[name] = row
            if not only:
                _write(rows)
    if any(_is_open(rows[defect.name]) for defect in defects):
        raise SystemExit(1)


def _is_open(row: str) -> bool:
    """Whether a defect was not found yet."""
    return not row or "| not " in row


def _tried(defect: Defect, seeds: int) -> tuple[str, str]:
    """The defect's name, and its row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "tahoe", Path(folder) / "tahoe", ignore=shutil.ignore_patterns("__pycache__"))
        defect.plant(Path(folder))
        command = [sys.executable, "-m", "tahoe.sim", "swarm", "--seeds", f"0-{seeds - 1}", "--stop"]
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
    found = FAILED.search(told)
    if found is None:
        row = f"| {defect.name} | {defect.file} | not in {seeds} | |"
    else:
        row = f"| {defect.name} | {defect.file} | {int(found[1]) + 1} | {_noticed(found[2])} |"
    return defect.name, row


def _noticed(failure: str) -> str:
    """What noticed it, in a few words."""
    return re.split(r": \d|; |\n|\|| in a story", failure.removeprefix("Violation: "))[0][:90]


def _parts() -> tuple[str, str, str]:
    """The page before the table, the table, the page behind it."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    table, _, after = rest.partition(END)
    return before, table, after


def _written() -> dict[str, str]:
    """The rows that the page has of defects that there are, by their names."""
    names = [defect.name for defect in load_defects()]
    lines = [line for line in _parts()[1].splitlines() if line.startswith("| ")]
    found = {line.split(" | ")[0].removeprefix("| "): line for line in lines}
    return {name: found[name] for name in names if name in found}


def _write(rows: Mapping[str, str]) -> None:
    before, _, after = _parts()
    lines = [rows.get(each.name, f"| {each.name} | {each.file} | not tried yet | |") for each in load_defects()]
    table = "\n".join(("| defect | planted in | seeds needed | noticed as |", "|---|---|---|---|", *lines))
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


if __name__ == "__main__":
    main()
