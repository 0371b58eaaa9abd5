"""``python -m experiments.notebooks``: run the scripts of this folder and write the pages in docs/ anew.

A script is plain Python in cells, as editors know them: ``# %% [markdown]`` begins a cell of text, in comments, ``# %%``
one of code. A page is the text, the code, and what the code printed; a figure that a cell leaves in ``figure`` is shown
below it. So a page can't say what its code does not do.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from experiments.framework import plotting

SCRIPTS = Path(__file__).resolve().parent
DOCS = SCRIPTS.parents[1] / "docs"
BORDER = re.compile(r"^# %%(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cell:
    """A part of a script."""

    is_text: bool
    source: str


def names() -> list[str]:
    """The scripts, by name."""
    return sorted(path.stem for path in SCRIPTS.glob("*.py") if not path.stem.startswith("_"))


def cells(script: str) -> Iterator[Cell]:
    """The cells of a script; what stands before the first border is not shown."""
    parts = BORDER.split(script)[1:]
    for kind, source in zip(parts[::2], parts[1::2], strict=True):
        is_text = "markdown" in kind
        text = re.sub(r"^# ?", "", source.strip(), flags=re.MULTILINE) if is_text else source.strip()
        yield Cell(is_text, text)


def render(name: str, figures: Path) -> str:
    """Run a script and return its page; its figures are written into a folder, which the page calls ``figures``."""
    script = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    known: dict[str, Any] = {"__name__": name}
    page = [f"<!-- written by python -m experiments.notebooks from experiments/notebooks/{name}.py -->"]
    for number, cell in enumerate(cells(script)):
        if cell.is_text:
            page.append(cell.source)
            continue
        page.append(f"```python\n{cell.source}\n```")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), plotting.style():
            exec(compile(cell.source, f"{name}, cell {number}", "exec"), known)  # noqa: S102  # the project's own scripts
            if (figure := known.pop("figure", None)) is not None:
                plotting.save(figure, figures, f"{name}-{number}")
        if printed.getvalue():
            page.append(f"```\n{printed.getvalue().rstrip()}\n```")
        if figure is not None:
            page.append(f"![{known.get('caption', name)}](figures/{name}-{number}.png)")
    return "\n\n".join(page) + "\n"


@click.command()
@click.argument("chosen", nargs=-1, metavar="[NAME]...")
def main(chosen: tuple[str, ...]) -> None:
    """Write the pages of all scripts, or of those named."""
    for name in chosen or names():
        (DOCS / f"{name}.md").write_text(render(name, DOCS / "figures"), encoding="utf-8")
        print(f"docs/{name}.md")


if __name__ == "__main__":
    main(prog_name="python -m experiments.notebooks")
