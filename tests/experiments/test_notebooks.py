"""Pages of notebooks show the code that their scripts run, what it printed, and its figures."""

import re
from pathlib import Path

import pytest

from experiments.notebooks import __main__ as notebooks

DOCS = Path(__file__).parents[2] / "docs"

SCRIPT = '''"""Not shown."""

# %% [markdown]
# # A title
#
# Some *text*.

# %%
number = 6
print(number * 7)

# %%
from matplotlib.figure import Figure

figure = Figure()
caption = "nothing much"
'''


def test_a_script_becomes_a_page_with_output_and_figures(tmp_path, monkeypatch):
    (tmp_path / "tiny.py").write_text(SCRIPT)
    monkeypatch.setattr(notebooks, "SCRIPTS", tmp_path)
    page = notebooks.render("tiny", tmp_path)
    assert "# A title\n\nSome *text*." in page
    assert "```python\nnumber = 6\nprint(number * 7)\n```\n\n```\n42\n```" in page
    assert "![nothing much](figures/tiny-2.png)" in page
    assert (tmp_path / "tiny-2.png").stat().st_size > 500
    assert "Not shown" not in page


@pytest.mark.parametrize("name", notebooks.names())
def test_the_page_in_the_documentation_is_that_of_the_script(name):
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    script = (notebooks.SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    for cell in notebooks.cells(script):
        assert cell.source in page
    for figure in re.findall(r"\((figures/[^)]*)\)", page):
        assert (DOCS / figure).exists()


def test_there_are_the_two_stories_that_the_documentation_promises():
    assert notebooks.names() == ["afternoon", "friends"]
