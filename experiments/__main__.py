"""Command line of the laboratory: ``python -m experiments list | run NAME | all``."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import click

from experiments.framework.configuration import from_file, from_settings
from experiments.framework.experiment import Experiment, load, shelf
from experiments.framework.folder import discard
from experiments.framework.laboratory import conduct
from experiments.framework.manifest import Manifest, read_manifest
from experiments.framework.study import Study
from experiments.framework.sweep import cores
from tahoe.errors import BadConfiguration, TahoeError

RESULTS = Path("results")
STOPPED = 130
"""What a shell reports for a command that was interrupted."""

OUT = click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the results [results/NAME, or results/NAME-again]."
)
QUICK = click.option("--quick", is_flag=True, help="Fewer points and runs: a look, not a result.")
SEED = click.option("--seed", type=int, help="Names the run [1].")
SETTINGS = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change the configuration.")
FILE = click.option("--config", "file", type=click.Path(path_type=Path), help="Change it by a TOML file.")
WORKERS = click.option("--workers", type=click.IntRange(min=1), help="Processes to spread over [all cores].")
DASK = click.option(
    "--dask", "cluster", default="", metavar="ADDRESS", help="Spread over a Dask cluster: tcp://HOST:PORT, or local."
)
FROM = click.option("--from", "manifest", type=click.Path(path_type=Path), help="Make the results of a manifest again.")
AFRESH = click.option("--afresh", is_flag=True, help="Discard what the folder holds.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Research questions, answered by the real actors in a simulated world."""


@main.command("list")
def list_experiments() -> None:
    """Name all experiments and their questions."""
    entries = list(shelf())
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        print(f"{entry.name:{width}}  {entry.question}")


@main.command()
@click.argument("name", required=False)
@OUT
@QUICK
@SEED
@SETTINGS
@FILE
@WORKERS
@DASK
@FROM
@AFRESH
def run(name: str | None, out: Path | None, **choice: Any) -> None:
    """Run one experiment: NAME is one of the list, or a Python file."""
    try:
        before = read_manifest(choice["manifest"]) if choice["manifest"] else None
        study = _study(name, choice) if before is None else _study_again(name, choice, before)
        path = out or RESULTS / (study.experiment.name if before is None else f"{study.experiment.name}-again")
        if before is not None and path.resolve() == choice["manifest"].resolve().parent:
            raise BadConfiguration(
                f"{path} is where the manifest stands: nothing would be computed. Name another --out"
            )
        after = _conduct(study, path, choice)
    except TahoeError as error:
        raise click.ClickException(str(error)) from error
    if before is not None:
        _compare(before, after)


@main.command("all")
@OUT
@QUICK
@SEED
@WORKERS
@DASK
@AFRESH
def run_all(out: Path | None, quick: bool, seed: int | None, **choice: Any) -> None:  # noqa: FBT001  # click hands flags over
    """Run every experiment, each into its own folder. One that fails does not keep the others from running."""
    failures = []
    for entry in shelf():
        try:
            experiment = load(entry.name)
            study = Study(experiment, experiment.configure(quick=quick), 1 if seed is None else seed)
            _conduct(study, (out or RESULTS) / entry.name, choice)
        except Exception as error:  # noqa: BLE001  # an experiment is anybody's code, and the next may be sound
            if not isinstance(error, TahoeError):
                traceback.print_exc()
            failures.append(f"  {entry.name}: {error or type(error).__name__}")
    if failures:
        raise click.ClickException("\n".join(["not all experiments came to an end:", *failures]))


def _study(name: str | None, choice: dict[str, Any]) -> Study:
    if name is None:
        raise BadConfiguration("name an experiment (python -m experiments list), or a manifest with --from")
    experiment = load(name)
    layers = [from_file(choice["file"])] if choice["file"] else []
    configuration = experiment.configure(*layers, from_settings(choice["settings"]), quick=choice["quick"])
    return Study(experiment, configuration, 1 if choice["seed"] is None else choice["seed"])


def _study_again(name: str | None, choice: dict[str, Any], manifest: Manifest) -> Study:
    if choice["quick"] or choice["settings"] or choice["file"] or choice["seed"] is not None:
        raise BadConfiguration("--from takes seed and configuration from the manifest; leave the other options out")
    experiment: Experiment = load(name or manifest.experiment)
    if experiment.name != manifest.experiment:
        raise BadConfiguration(f"the manifest is one of {manifest.experiment}, not of {experiment.name}")
    return Study(experiment, experiment.configure(manifest.configuration), manifest.seed)


def _conduct(study: Study, path: Path, choice: dict[str, Any]) -> Manifest:
    if choice["afresh"]:
        discard(path)
    try:
        manifest = conduct(study, path, choice["workers"] or cores(), choice["cluster"])
    except KeyboardInterrupt:
        _stop(path)
    print(f"{study.experiment.name}: {manifest.rows} rows in {path}")
    return manifest


def _stop(path: Path) -> NoReturn:
    print(f"\nstopped; the same command goes on from what is done in {path}", file=sys.stderr)
    raise SystemExit(STOPPED)


def _compare(before: Manifest, after: Manifest) -> None:
    """Say whether the same bytes came out again."""
    different = [name for name, digest in before.files.items() if after.files.get(name) != digest]
    if not different:
        print("reproduced bit for bit")
        return
    if before.measured and before.unmeasured == after.unmeasured:
        print(f"reproduced, but for what a real clock has a part in: {', '.join(before.measured)}")
        return
    versions = {**before.libraries, "code": before.code}, {**after.libraries, "code": after.code}
    changed = [
        f"  {name}: {was} then, {versions[1].get(name)} now"
        for name, was in versions[0].items()
        if versions[1].get(name) != was
    ]
    reasons = "\n".join(changed) or "  the versions are the same: the experiment is not pure in its seed"
    raise click.ClickException(f"not the same: {', '.join(different)}\n{reasons}")


if __name__ == "__main__":
    main(prog_name="python -m experiments")
