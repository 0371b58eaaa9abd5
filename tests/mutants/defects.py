"""The planted defects of ``defects.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Defect:
    """A small change for the worse: ``before`` stands exactly once in ``file``, and ``after`` takes its place."""

    name: str
    file: str
    before: str
    after: str

    def plant(self, root: Path) -> None:
        """Change the copy of the program below a folder."""
        path = root / self.file
        text = path.read_text()
        if text.count(self.before) != 1:
            raise ValueError(f"{self.name}: its place in {self.file} is gone, or not the only one")
        path.write_text(text.replace(self.before, self.after))


def load_defects() -> list[Defect]:
    """All of them."""
    return [Defect(**each) for each in tomllib.loads((ROOT / "tests/mutants/defects.toml").read_text())["defect"]]
