"""Sweep: the points of a study on many cores, each handed back as soon as it is done.

joblib does the spreading. Which core computes a point, and when, can't matter to its rows; the order in which points
come back does vary, and whoever collects them sorts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from experiments.framework.extras import extra
from experiments.framework.study import Task, compute


def cores() -> int:
    """How many cores this process may use."""
    count: int = extra("joblib").cpu_count()
    return count


def sweep(tasks: Sequence[Task], workers: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Compute tasks on so many worker processes (1: in this one), yielding each key and its rows when they are there."""
    joblib = extra("joblib")
    parallel = joblib.Parallel(n_jobs=min(workers, max(1, len(tasks))), return_as="generator_unordered", batch_size=1)
    done: Iterator[tuple[str, list[dict[str, Any]]]] = parallel(joblib.delayed(compute)(task) for task in tasks)
    return done
