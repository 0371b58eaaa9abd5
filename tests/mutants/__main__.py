"""Plants each defect in a copy of the program and lets the swarm look for it: ``python -m tests.mutants``.

Writes the table in docs/swarm.md between its two marks: defect, seeds that were needed, and what noticed it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from tests.mutants.defects import ROOT, Defect, load_defects

PAGE = ROOT / "docs" / "swarm.md"
BEGIN, END = "<!-- defects: made by python -m tests.mutants -->", "<!-- end of defects -->"
FAILED = re.compile(r"seed (\d+) FAILED: (.*)")


@click.command()
@click.option("--seeds", default=500, show_default=True, help="How many to try for each defect.")
@click.option("--workers", default=2, show_default=True, help="Defects tried at once.")
@click.option("--only", default="", help="Only defects with this in their names; the page stays as it is.")
def main(seeds: int, workers: int, only: str) -> None:
    """Fail if any defect is not found."""
    defects = [defect for defect in load_defects() if only in defect.name]
    with ThreadPoolExecutor(workers) as pool:
        rows = list(pool.map(lambda defect: _tried(defect, seeds), defects))
    if not only:
        _write(rows)
    if any(row.startswith("| **") for row in rows):
        raise SystemExit(1)


def _tried(defect: Defect, seeds: int) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "tahoe", Path(folder) / "tahoe", ignore=shutil.ignore_patterns("__pycache__"))
        defect.plant(Path(folder))
        command = [sys.executable, "-m", "tahoe.sim", "swarm", "--seeds", f"0-{seeds - 1}", "--stop"]
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
    found = FAILED.search(told)
    if found is None:
        row = f"| **{defect.name}** | {defect.file} | not in {seeds} | |"
    else:
        row = f"| {defect.name} | {defect.file} | {int(found[1]) + 1} | {_noticed(found[2])} |"
    click.echo(row)
    return row


def _noticed(failure: str) -> str:
    """What noticed it, in a few words."""
    return re.split(r": \d|; |\n|\|| in a story", failure.removeprefix("Violation: "))[0][:90]


def _write(rows: list[str]) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(("| defect | planted in | seeds needed | noticed as |", "|---|---|---|---|", *rows))
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


if __name__ == "__main__":
    main()
