"""The planted defects: that each still has its place, and that a few are found at once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.mutants.defects import ROOT, load_defects

DEFECTS = load_defects()


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_has_its_place_and_leaves_a_program(defect, tmp_path):
    source = ROOT / defect.file
    (tmp_path / defect.file).parent.mkdir(parents=True)
    (tmp_path / defect.file).write_text(source.read_text())
    defect.plant(tmp_path)
    compile((tmp_path / defect.file).read_text(), defect.file, "exec")


def test_there_are_enough_of_them():
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS) >= 20


def test_one_is_found():
    command = [sys.executable, "-m", "tests.mutants", "--seeds", "20", "--only", "must not be replaced"]
    run = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "can't be true together" in run.stdout
