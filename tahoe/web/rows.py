"""What a row of the table of routes says: an operation, for whom, with which parameters, what it takes and gives."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from tahoe.web.calls import Endpoint


class Authority(Enum):
    """What a request needs."""

    NONE = "nothing"
    CAPABILITY = "the capability in its URL; under /vdrive the node's authority"
    NODE = "the node's authority: its token, or a session of a browser"


class Takes(Enum):
    """What the body of a request is."""

    CONTENTS = "contents"
    CHILDREN = "children"
    CAPABILITY = "a capability"
    STATEMENT = "a signed statement"
    FORM = "a form with files"


class Gives(Enum):
    """What an operation answers when all is well: statuses, media type, and what it is."""

    CONTENTS = ((200, 206, 304), "*/*", "contents; of a directory, its description")
    FOUND = ((200,), "text/plain", "a capability")
    NEW = ((201,), "text/plain", "the new capability")
    KEPT = ((200, 201), "text/plain", "the capability; 201 if it is new here")
    STORED = (
        (200, 201),
        "*/*",
        "the capability; of several files a list, as JSON; 200 if it was put in a file's place",
    )
    NUMBER = ((200,), "text/plain", "a number")
    JSON = ((200,), "application/json", "JSON")
    INVITATION = ((201,), "application/json", "JSON")
    JOB = ((202,), "application/json", "the job's id")
    LINES = ((200,), "application/x-ndjson", "JSON, line by line")
    ZIP = ((200,), "application/zip", "a zip file")
    METRICS = ((200,), "application/openmetrics-text", "OpenMetrics")
    TEXT = ((200,), "text/plain", "text")
    ELSEWHERE = ((302, 303), "", "a redirect")

    def __init__(self, statuses: tuple[int, ...], media_type: str, about: str) -> None:
        self.statuses = statuses
        self.media_type = media_type
        self.about = about


class Parameter(NamedTuple):
    """One parameter of the query."""

    name: str
    about: str
    choices: tuple[str, ...] = ()
    required: bool = False


class Row(NamedTuple):
    """One operation.

    Args:
        method: GET stands for HEAD, too.
        path: with parameters in braces, or ``PLACE``.
        operation: the value of ``t=``; empty without one.
        endpoint: does it; its docstring's first line says what it does.
        authority: what it needs.
        parameters: of the query.
        takes: what the body is; None where there is none.
        gives: what it answers.
    """

    method: str
    path: str
    operation: str
    endpoint: Endpoint
    authority: Authority
    parameters: tuple[Parameter, ...] = ()
    takes: Takes | None = None
    gives: Gives = Gives.JSON

    @property
    def about(self) -> str:
        """What it does."""
        return (self.endpoint.__doc__ or "").strip().partition("\n")[0]
