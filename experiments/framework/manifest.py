"""Manifest: what a result folder was made from, so that it can be made again bit for bit.

It holds no date and no duration, which would differ the second time, and the digest of every file beside it, by which
``run --from manifest.json`` knows whether the second time was the same.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

import tahoe
from experiments.framework.folder import table
from experiments.framework.study import Study
from tahoe.errors import BadConfiguration

LIBRARIES = ("cryptography", "joblib", "matplotlib", "msgspec", "networkx", "numpy", "simpy", "zfec")


class Manifest(msgspec.Struct, frozen=True):
    """The facts of a result folder.

    ``code`` names every version of the code that had a part in it, which should be one. ``runs`` counts independent
    simulated runs (null where nothing is simulated), ``confidence`` is that of all intervals, ``files`` are SHA-256
    digests. ``measured`` names the columns that a real clock has a part in, if there are any, and ``unmeasured`` is the digest
    of the table without them: a second run can reproduce no more.
    """

    experiment: str
    question: str
    seed: int
    configuration: dict[str, Any]
    points: int
    rows: int
    runs: int | None
    confidence: float | None
    code: list[str]
    libraries: dict[str, str]
    files: dict[str, str]
    measured: list[str] = []
    unmeasured: str = ""


def make_manifest(study: Study, rows: Sequence[dict[str, Any]], code: list[str], files: Sequence[Path]) -> Manifest:
    """The manifest of a finished study."""
    identity = study.identity()
    return Manifest(
        **identity,
        question=study.experiment.question,
        points=len(study.point_keys()),
        rows=len(rows),
        runs=sum(row["runs"] for row in rows) if rows and "runs" in rows[0] else None,
        confidence=identity["configuration"].get("confidence"),
        code=code,
        libraries=library_versions(),
        files={path.name: digest(path) for path in files},
        measured=study.experiment.measured,
        unmeasured=_digest_without(study, rows) if study.experiment.measured else "",
    )


def _digest_without(study: Study, rows: Sequence[dict[str, Any]]) -> str:
    """Of the table without its measured columns."""
    names = (field.name for field in fields(study.experiment.module.Row))
    columns = [name for name in names if name not in study.experiment.measured]
    return hashlib.sha256(table(columns, rows).encode()).hexdigest()


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write it for people and programs."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def read_manifest(path: Path) -> Manifest:
    """Read one.

    Raises:
        BadConfiguration: it can't be read or is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadConfiguration(f"{path} is no manifest of a result folder: {error}") from error


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def code_version() -> str:
    """What ``git describe`` says of a checkout, or else the version of the package."""
    root = Path(__file__).resolve().parents[2]
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "describe", "--tags", "--always", "--dirty"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603  # a fixed command
        except (OSError, subprocess.CalledProcessError):
            pass  # no git here, or not our repository: the package's version is the next best name
    return tahoe.__version__


def library_versions() -> dict[str, str]:
    """Versions of what results may depend on."""
    versions = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions
