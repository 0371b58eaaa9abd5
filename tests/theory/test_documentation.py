"""The page on theory is true: its examples run, and no question goes without a section."""

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import tahoe.theory

PAGE = Path(__file__).parents[2] / "docs" / "theory.md"


def modules():
    return [
        importlib.import_module(f"tahoe.theory.{found.name}") for found in pkgutil.iter_modules(tahoe.theory.__path__)
    ]


def questions():
    """Public functions whose docstring opens with a question."""
    for module in modules():
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and "?" in (function.__doc__ or "").split("\n\n")[0]:
                yield name, function


def test_every_example_of_the_page_runs_and_prints_what_it_says():
    text = PAGE.read_text(encoding="utf-8")
    examples = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    assert len(examples.examples) > 80
    runner = doctest.DocTestRunner(verbose=False)
    report = []
    runner.run(examples, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def test_every_question_has_a_section_with_its_signature():
    page = PAGE.read_text(encoding="utf-8").replace("\n", " ")
    asked = dict(questions())
    assert len(asked) > 25
    missing = [
        name
        for name, function in asked.items()
        if f"`{name}({', '.join(inspect.signature(function).parameters)})`" not in page
    ]
    assert missing == []


def test_every_question_gives_its_formula_or_its_source():
    assert [name for name, function in questions() if not re.search(r"(Formula|Source)s?:", function.__doc__)] == []


def test_theory_needs_nothing_but_the_standard_library():
    names = ", ".join(module.__name__ for module in modules())
    program = f"import sys, {names}; print({{name.partition('.')[0] for name in sys.modules}} - sys.stdlib_module_names - {{'__main__'}})"
    command = [sys.executable, "-S", "-c", program]  # -S: what the environment imports at start is not theory's
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PAGE.parents[1])
    assert shown.stdout.strip() == "{'tahoe'}"
