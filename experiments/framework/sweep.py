"""Sweep: the points of a study on many cores or machines, handed back as they are done.

joblib does the spreading, over the cores of this machine or, by its backend for Dask, over a cluster. Where a point is
computed, and when, can't matter to its rows; the order in which points come back does vary, and whoever collects them
sorts them. That backend gives results back only when all it was given are done, so a cluster gets them by the handful:
what is lost by stopping is a handful, not the study.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from experiments.framework.extras import extra
from experiments.framework.study import Task, compute


def cores() -> int:
    """How many cores this process may use."""
    count: int = extra("joblib").cpu_count()
    return count


def sweep(tasks: Sequence[Task], workers: int, cluster: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Compute tasks, yielding each key and its rows when they are there.

    Args:
        tasks: the points.
        workers: processes on this machine; 1: this one.
        cluster: the address of a Dask scheduler (``tcp://...``), or ``local`` for one on this machine with so many workers.
    """
    if cluster:
        yield from _on_cluster(tasks, workers, cluster)
        return
    joblib = extra("joblib")
    parallel = joblib.Parallel(n_jobs=min(workers, max(1, len(tasks))), return_as="generator_unordered", batch_size=1)
    yield from parallel(joblib.delayed(compute)(task) for task in tasks)


HANDFULS = 4
"""Points that a cluster gets at a time, for each of its workers."""


def _on_cluster(tasks: Sequence[Task], workers: int, cluster: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    joblib, distributed = extra("joblib"), extra("distributed")
    with ExitStack() as stack:
        address = cluster
        if cluster == LOCAL:
            own = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            address = stack.enter_context(own).scheduler_address
        client = stack.enter_context(distributed.Client(address))
        stack.enter_context(joblib.parallel_config(backend="dask"))
        at_once = HANDFULS * max(1, sum(client.nthreads().values()))
        for first in range(0, len(tasks), at_once):
            handful = tasks[first : first + at_once]
            yield from joblib.Parallel()(joblib.delayed(compute)(task) for task in handful)


LOCAL = "local"
"""The cluster of a scheduler and workers on this machine."""
