"""The README's examples, so that tests run what people read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()

PATIENCE = 100
"""Seconds after which an example is given up."""


def examples(language: str) -> list[str]:
    """The README's code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def example(language: str, word: str) -> str:
    """The first one that has this word in it."""
    return next(text for text in examples(language) if word in text)


def run_script(script: str, place: Path, **variables: str) -> str:
    """Run a script in a directory, as somebody does who has installed ``tahoe``; what it prints."""
    path = f"{Path(sys.executable).parent}:/usr/sbin:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=place,
        env={**os.environ, "PATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
