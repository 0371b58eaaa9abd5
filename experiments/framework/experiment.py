"""Experiment: a module that holds one question, found by what it defines and loaded when it is run.

The module's docstring opens with the question. It defines

* ``Configuration``, a frozen dataclass with a default for every field;
* ``Row``, a frozen dataclass: a line of the results (a field ``runs`` counts independent runs, if there are any);
* ``points(configuration)``: what is to be computed, as distinct frozen dataclasses (or plain values), none of which
  depends on another;
* ``run(point, seed)``: the rows of one point, pure in the seed, an integer of 64 bits;
* ``plot(rows, configuration)``: a matplotlib figure;
* ``QUICK``, if it likes: the changes to ``Configuration`` that make ``--quick`` quick;
* ``MEASURED``, if it looks at a real clock: the columns of ``Row`` that a clock has a part in. Its points are computed one
  at a time, because they would disturb one another, and nobody expects those columns to be reproduced.

Finding them reads sources but imports nothing, so that a list is quick, and whole when one of them is broken.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from experiments.framework import configuration
from tahoe.errors import BadConfiguration

SHELF = Path(__file__).resolve().parents[1]
"""The folder in which the project's own experiments stand."""

PARTS = ("Configuration", "Row", "points", "run", "plot")


@dataclass(frozen=True, slots=True)
class Entry:
    """An experiment in the list."""

    name: str
    question: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """A loaded experiment. ``reference`` is what ``load`` loads it by, in another process, too."""

    reference: str
    name: str
    question: str
    module: Any

    def configure(self, *layers: Any, quick: bool = False) -> Any:
        """Its configuration, changed by layers (see ``configuration.build``)."""
        first = [getattr(self.module, "QUICK", {})] if quick else []
        return configuration.build(self.module.Configuration, *first, *layers)

    @property
    def measured(self) -> list[str]:
        """Columns of its rows that a real clock has a part in."""
        return list(getattr(self.module, "MEASURED", ()))

    def points(self, configured: Any) -> dict[str, Any]:
        """Its points by their keys, which are their JSON.

        Raises:
            BadConfiguration: two points are the same, and would get the same seed.
        """
        points = {}
        for point in self.module.points(configured):
            key = msgspec.json.encode(point).decode()
            if key in points:
                raise BadConfiguration(f"{self.name}: the point {key} comes twice. Name each value once")
            points[key] = point
        return points

    def rows(self, plain: list[dict[str, Any]]) -> list[Any]:
        """Rows as the experiment's own type, from builtins."""
        kind: Any = self.module.Row
        return [msgspec.convert(row, kind) for row in plain]


def shelf() -> Iterator[Entry]:
    """All experiments of the project, by name."""
    for path in sorted(SHELF.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if set(_names(tree)).issuperset(PARTS):
            yield Entry(path.stem, (ast.get_docstring(tree) or "").partition("\n")[0])


def _names(tree: ast.Module) -> Iterator[str]:
    """What a module defines, or has from elsewhere."""
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)


def load(reference: str) -> Experiment:
    """Load an experiment by name, or from a Python file anywhere by its path.

    Raises:
        BadConfiguration: there is none of that name, or the file is none.
    """
    module = _from_file(Path(reference)) if reference.endswith(".py") else _from_shelf(reference)
    missing = [part for part in PARTS if not hasattr(module, part)]
    if missing:
        raise BadConfiguration(f"{reference} is no experiment: it does not define {', '.join(missing)}")
    question = (module.__doc__ or "").strip().partition("\n")[0]
    return Experiment(reference, Path(reference).stem, question, module)


def _from_shelf(name: str) -> Any:
    names = [entry.name for entry in shelf()]
    if name not in names:
        raise BadConfiguration(f"no experiment is called {name}. There are: {', '.join(names)} (or give a .py file)")
    return importlib.import_module(f"experiments.{name}")


def _from_file(path: Path) -> Any:
    name = f"experiment_from_file_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None or not path.is_file():
        raise BadConfiguration(f"{path}: there is no such file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module
