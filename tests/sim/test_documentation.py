"""The page on the laboratory is true: its examples run, one after the other, and the promised forty lines suffice."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"


def blocks():
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.timeout(100)
def test_every_example_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "examples"}
    assert len(blocks()) > 8
    for number, block in enumerate(blocks()):
        exec(compile(block, f"example {number}", "exec"), names)


def test_a_policy_and_a_law_of_ones_own_take_less_than_forty_lines():
    own = [block for block in blocks() if "class FewSites" in block or "class Bathtub" in block]
    assert len(own) == 2
    for block in own:
        assert len([line for line in block.splitlines() if line.strip()]) < 40
