"""The tour of the API with curl, which has every operation in it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tahoe.web.table import TABLE
from tests.web.conftest import TOKEN

TOUR = Path(__file__).with_name("tour.sh")
SIGNED = "statement"
"""Takes the grid's key, which no client has."""

CARE = ("/care", "/health")
"""Take a caretaker, which this node has not; see ``test_care.py``."""


def test_the_tour_with_curl_comes_to_its_end(drive, tmp_path):
    place = tmp_path / "tour"
    place.mkdir()
    environment = os.environ | {"NODE": drive.server.url.rstrip("/"), "TOKEN": TOKEN, "DIR": str(place)}
    done = subprocess.run(["sh", TOUR], env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("the tour is over\n")


def test_the_tour_has_every_operation():
    text = TOUR.read_text()
    kinds = re.findall(r"for KIND in ([^;]+);", text)[0].split()
    named = set(re.findall(r"[?&]t=([a-z_-]+[a-z])", text)) | {f"start-{kind}" for kind in kinds}
    toured = [row for row in TABLE if row.path not in CARE and row.operation != SIGNED]
    assert {row.operation for row in toured} - {""} <= named
    for path in {row.path for row in toured if row.path.startswith("/") and "{" not in row.path}:
        assert f"$NODE{path}" in text, path
