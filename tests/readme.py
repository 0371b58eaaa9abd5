"""The README's examples, so that tests run what people read."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def examples(language: str) -> list[str]:
    """The README's code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def example(language: str, word: str) -> str:
    """The first one that has this word in it."""
    return next(text for text in examples(language) if word in text)
