"""Study: an experiment with its configuration and a seed, which together determine every row."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from experiments.framework.configuration import plain
from experiments.framework.experiment import Experiment, load


class Task(NamedTuple):
    """One point of a study in builtins, so that it travels to any process."""

    reference: str
    configuration: dict[str, Any]
    key: str
    seed: int


@dataclass(frozen=True, slots=True)
class Study:
    """What is to be computed."""

    experiment: Experiment
    configuration: Any
    seed: int

    def identity(self) -> dict[str, Any]:
        """What distinguishes it from other studies, in builtins."""
        return {"experiment": self.experiment.name, "seed": self.seed, "configuration": plain(self.configuration)}

    def point_keys(self) -> list[str]:
        """The points' keys, in order."""
        return list(self.experiment.points(self.configuration))

    def task(self, key: str) -> Task:
        """The work of one point."""
        seed = seed_of(self.seed, self.experiment.name, key)
        return Task(self.experiment.reference, plain(self.configuration), key, seed)

    def anywhere(self) -> Study:
        """The same, however the current folder changes: an experiment from a file is named by its full path."""
        reference = self.experiment.reference
        if not reference.endswith(".py"):
            return self
        return replace(self, experiment=replace(self.experiment, reference=str(Path(reference).resolve())))


def seed_of(seed: int, name: str, key: str) -> int:
    """The seed of one point, 64 bits: it depends on what the point is, not on where in the study it stands."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}/{key}".encode()).digest()[:8], "big")


def compute(task: Task) -> tuple[str, list[dict[str, Any]]]:
    """The rows of one point, in builtins, with its key. Runs in any process."""
    experiment = load(task.reference)
    point = experiment.points(experiment.configure(task.configuration))[task.key]
    rows = msgspec.json.encode(list(experiment.module.run(point, task.seed)))
    return task.key, msgspec.json.decode(rows)  # as they will be when they are read back from the folder
