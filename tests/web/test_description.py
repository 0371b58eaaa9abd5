"""The API's descriptions, for programs and for people: made of the table that is served, and true."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tahoe.web.openapi import description
from tahoe.web.reference import document
from tahoe.web.rows import Authority
from tahoe.web.table import PLACE, TABLE
from tests.web.conftest import TOKEN

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
SCHEMA = schemathesis.openapi.from_dict(description("localhost"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]


def test_the_page_for_people_is_what_the_table_says():
    assert DOCUMENT.read_text() == document(), "run: python -m tahoe.web.reference > docs/api.md"


def test_every_operation_says_what_it_does():
    assert [row for row in TABLE if not row.about] == []


def test_no_two_rows_are_about_the_same_request():
    requests = [(row.method, row.path, row.operation) for row in TABLE]
    assert len(set(requests)) == len(requests)


def test_the_description_is_served(gateway):
    reply = gateway.request("GET", "/openapi.json", token=None)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")


def test_what_needs_the_nodes_authority_is_refused_without(drive):
    place = f"/uri/{drive.ask('POST', '/uri?t=mkdir', status=201)}"
    for row in TABLE:
        own = [place, f"{place}/name", "/vdrive/private", "/vdrive/private/name"]
        for path in own if row.path == PLACE else [row.path]:
            target = path.replace("{cap}", "URI:LIT:").replace("{", "").replace("}", "") + f"?t={row.operation}"
            reply = drive.request(row.method, target, b"", token=None)
            is_free = row.authority is not Authority.NODE and not path.startswith("/vdrive")
            assert (reply.status == 401) is not is_free, (row.method, target, reply)


@pytest.fixture
def filled(drive):
    """A grid with something of each kind in it, and the capabilities."""
    file = drive.ask("PUT", "/uri", b"contents" * 100, 201)
    slot = drive.ask("PUT", "/uri?format=SLOT", b"contents" * 100, 201)
    directory = drive.ask("POST", "/uri?t=mkdir", status=201)
    drive.ask("PUT", f"/uri/{directory}/a?t=uri", file, 201)
    drive.ask("PUT", f"/uri/{directory}/0?t=uri", slot, 201)
    return drive, [file, slot, directory, f"{directory}/a", "URI:LIT:krugkidfnzsa"]


@SCHEMA.parametrize()
@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
def test_whatever_is_asked_the_answer_is_one_that_is_described(case, filled):
    drive, caps = filled
    names = case.path_parameters
    if names.get("cap"):  # what makes sense leads further than any invention; but some of those stay
        names["cap"] = [*caps, names["cap"]][len(repr(case.query)) % (len(caps) + 1)]
    if names.get("root") and len(repr(case.query)) % 4:
        names["root"] = "private"
    url = drive.server.url.rstrip("/")
    case.call_and_validate(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, checks=CHECKS, timeout=30)
