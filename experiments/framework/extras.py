"""Extras: packages that only experiments need, imported when they are used, with the remedy if they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from tahoe.errors import TahoeError

OTHER_EXTRAS = {"distributed": "dask"}
"""Packages that are not in the extra called ``sim``."""


class MissingPackage(TahoeError):
    """An optional package is not installed. The message names the extra that brings it."""

    def __init__(self, package: str) -> None:
        super().__init__(package)
        self.package = package

    def __str__(self) -> str:
        extra_name = OTHER_EXTRAS.get(self.package, "sim")
        return (
            f"experiments need {self.package}, which is not installed. Remedy: pip install 'tahoe-grid[{extra_name}]'"
        )


def extra(module: str) -> Any:
    """Import a module of an optional package.

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingPackage(package) from error
