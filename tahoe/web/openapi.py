"""The API's description for programs (OpenAPI 3.1), made of the table of routes.

OpenAPI tells operations apart by method and path only. So the operations that ``t=`` chooses between are one operation
there, with what each of them takes and gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from tahoe import __version__
from tahoe.web.calls import Call, json_answer
from tahoe.web.rows import Authority, Parameter, Row, Takes
from tahoe.web.table import PLACE, PLACE_PATHS, rows_by_path

if TYPE_CHECKING:
    from starlette.types import ASGIApp

ERRORS: Final[Mapping[int, str]] = {
    400: "the request or a capability in it makes no sense",
    401: "the node's authority is needed",
    403: "the capability only reads, or another site made the request",
    404: "there is nothing of this name",
    405: "nothing is done here by this method",
    408: "nothing came for a long time",
    409: "something is there already, or somebody else was first",
    410: "too few shares are in reach",
    411: "the length of the body is not said",
    413: "the body is too long",
    414: "a name is too long",
    416: "the file has no such range",
    421: "the gateway does not go by this host name",
    429: "too many jobs are running",
    431: "the headers are too long",
    500: "a bug of the gateway",
    502: "a server refuses",
    503: "too few servers, or none, are in reach",
    504: "nobody knows whether it was done",
    507: "the disk has no room for it",
}
"""What every operation may answer instead of what it is for."""

_ABOUT_PATHS: Final = {
    "cap": "a capability",
    "path": "names, each percent-encoded UTF-8 by itself, joined by slashes",
    "root": "the name of a root: private is the node's own, global the grid's",
    "name": "a name for people",
    "job": "the id of a job",
    "transfer": "the id of a transfer",
}

_CHILD: Final[Mapping[str, Any]] = {"$ref": "#/components/schemas/Node"}

SCHEMAS: Final[Mapping[str, Any]] = {
    "Node": {
        "description": '["filenode" | "dirnode" | "unknown", facts]',
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "prefixItems": [{"enum": ["filenode", "dirnode", "unknown"]}, {"$ref": "#/components/schemas/Facts"}],
    },
    "Facts": {
        "type": "object",
        "properties": {
            "rw_uri": {"type": "string"},
            "ro_uri": {"type": "string"},
            "verify_uri": {"type": ["string", "null"]},
            "size": {"type": ["integer", "null"], "description": "bytes; null where only servers know"},
            "mutable": {"type": "boolean"},
            "format": {"type": "string"},
            "metadata": {"type": "object"},
            "may_be_stale": {"type": "boolean", "description": "too few servers are in reach to be sure"},
            "children": {"type": "object", "additionalProperties": _CHILD},
        },
    },
    "Children": {"type": "object", "additionalProperties": _CHILD},
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail", "kind"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "kind": {"type": "string", "description": "the name of the error's class, for programs"},
        },
    },
}

_BODIES: Final[Mapping[Takes, Mapping[str, Any]]] = {
    Takes.CONTENTS: {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    Takes.CHILDREN: {"application/json": {"schema": {"$ref": "#/components/schemas/Children"}}},
    Takes.CAPABILITY: {"text/plain": {"schema": {"type": "string"}}},
    Takes.STATEMENT: {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    Takes.FORM: {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
        }
    },
}


async def openapi(call: Call) -> ASGIApp:
    """Describe all operations for programs (OpenAPI 3.1)."""
    return json_answer(description(call.headers.get("host", "localhost")))


DESCRIPTION: Final = Row("GET", "/openapi.json", "", openapi, Authority.NONE)


def description(host: str) -> dict[str, Any]:
    """Return the whole description, JSON-able."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tahoe gateway",
            "version": __version__,
            "description": "Files and directories of a grid, by capability and by root. docs/api.md has it in prose.",
            "license": {"name": "GPL-2.0-or-later"},
        },
        "servers": [{"url": f"http://{host}"}],
        "paths": {path: _methods(path, rows) for path, rows in _paths()},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "contents of private/api_token"},
            },
        },
    }


def _paths() -> Iterator[tuple[str, tuple[Row, ...]]]:
    for path, rows in rows_by_path():
        for each in PLACE_PATHS if path == PLACE else (path,):
            yield each, rows


def _methods(path: str, rows: Iterable[Row]) -> dict[str, Any]:
    methods: dict[str, list[Row]] = {}
    for row in rows:
        methods.setdefault(row.method, []).append(row)
    described = {method.lower(): _operation(path, method, some) for method, some in methods.items()}
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [
        {"name": name, "in": "path", "required": True, "description": _ABOUT_PATHS[name], "schema": {"type": "string"}}
        for name in names
    ]
    return {"parameters": parameters, **described} if parameters else described


def _operation(path: str, method: str, rows: list[Row]) -> dict[str, Any]:
    lines = [f"* `t={row.operation}`: {row.about}" if row.operation else f"* {row.about}" for row in rows]
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()} {path}",
        "summary": rows[0].about if len(rows) == 1 else f"{method} {path}",
        "description": "\n".join(lines),
        "parameters": list(_parameters(rows)),
        "responses": _responses(rows),
    }
    bodies = {kind: body for row in rows if row.takes for kind, body in _BODIES[row.takes].items()}
    if bodies:
        operation["requestBody"] = {"required": all(row.takes for row in rows), "content": bodies}
    operation["security"] = _security(path, rows)
    return operation


def _security(path: str, rows: list[Row]) -> list[dict[str, list[str]]]:
    """Return what the operation needs; an empty object says that nothing is needed by some of it."""
    is_free = any(
        row.authority is Authority.NONE or (row.authority is Authority.CAPABILITY and not path.startswith("/vdrive"))
        for row in rows
    )
    return [{"token": []}, {}] if is_free else [{"token": []}]


def _parameters(rows: list[Row]) -> Iterator[dict[str, Any]]:
    operations = [row.operation for row in rows]
    if any(operations):
        yield {
            "name": "t",
            "in": "query",
            "description": "which operation",
            "required": "" not in operations,
            "schema": {"enum": [operation for operation in operations if operation]},
        }
    wanted: dict[str, list[Parameter]] = {}
    for row in rows:
        for parameter in row.parameters:
            wanted.setdefault(parameter.name, []).append(parameter)
    for name, some in wanted.items():
        yield {
            "name": name,
            "in": "query",
            "description": some[0].about,
            "required": all(parameter.required for parameter in some) and len(some) == len(rows),
            "schema": {"enum": list(some[0].choices)} if some[0].choices else {"type": "string"},
        }


def _responses(rows: list[Row]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for row in rows:
        for status in row.gives.statuses:
            content = responses.setdefault(str(status), {"description": row.gives.about})
            if row.gives.media_type and status not in {302, 303, 304}:
                content.setdefault("content", {})[row.gives.media_type] = {}
    problem = {"text/plain": {}, "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    errors = {str(status): {"description": about, "content": problem} for status, about in ERRORS.items()}
    return responses | errors
