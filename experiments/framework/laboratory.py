"""Laboratory: runs a study into a folder: what is missing is computed, then everything is drawn."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from experiments.framework import plotting
from experiments.framework.folder import Folder
from experiments.framework.manifest import Manifest, code_version, make_manifest, write_manifest
from experiments.framework.progress import Progress
from experiments.framework.study import Study
from experiments.framework.sweep import sweep


def conduct(study: Study, path: Path, workers: int, cluster: str = "") -> Manifest:
    """Compute the points that the folder does not hold yet, and write all results.

    Args:
        study: what to compute.
        path: of the folder.
        workers: processes on this machine.
        cluster: see ``sweep``.

    Raises:
        BadConfiguration: the folder holds another study.
        MissingPackage: a package of the ``sim`` extra is not installed.
    """
    folder = Folder(path, study, code_version())
    _compute(study, folder, workers, cluster)
    rows = folder.finish()
    with plotting.style():
        figure = study.experiment.module.plot(study.experiment.rows(rows), study.configuration)
        figures = plotting.save(figure, path, study.experiment.name)
    manifest = make_manifest(study, rows, folder.codes, [path / "data.csv", *figures])
    write_manifest(path / "manifest.json", manifest)
    return manifest


def _compute(study: Study, folder: Folder, workers: int, cluster: str) -> None:
    missing = folder.missing()
    total = len(study.point_keys())
    portable = study.anywhere()
    with closing(Progress(study.experiment.name, total, before=total - len(missing))) as progress:
        progress.show()
        if study.experiment.measured:
            workers, cluster = 1, ""  # points side by side would compete for what they measure
        for key, rows in sweep([portable.task(key) for key in missing], workers, cluster):
            folder.add(key, rows)
            progress.step()
