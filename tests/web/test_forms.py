"""Uploads by form: several files with paths, streamed, and nothing half stored."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

FILE = b"contents of a file." * 100
BOUNDARY = "----a-boundary"


def form(*parts: tuple[str, str | None, bytes]) -> tuple[bytes, dict[str, str]]:
    """A form's body and its headers, of (field, file name, contents)."""
    body = b""
    for field, filename, contents in parts:
        name = "" if filename is None else f'; filename="{filename}"'
        body += (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{name}\r\n\r\n'.encode()
            + contents
            + b"\r\n"
        )
    return body + f"--{BOUNDARY}--\r\n".encode(), {"Content_Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.fixture
def top(drive) -> str:
    return f"/uri/{drive.ask('POST', '/uri?t=mkdir', status=201)}"


def test_one_file_is_stored_under_its_name(drive, top):
    body, headers = form(("file", "Überfile.txt", FILE))
    cap = drive.ask("POST", f"{top}?t=upload", body, 201, **headers)
    assert cap.startswith("URI:CHK:")
    assert list(drive.json("GET", f"{top}?t=json")[1]["children"]) == ["Überfile.txt"]


def test_several_files_keep_their_paths(drive, top):
    parts = [("file", f"folder/sub {number % 3}/file {number}", FILE + str(number).encode()) for number in range(7)]
    body, headers = form(*parts, ("comment", None, b"not a file"))
    told = drive.json("POST", f"{top}?t=upload", body, 201, **headers)["files"]
    assert [file["path"] for file in told] == [name.split("/") for _, name, _ in parts]
    assert drive.ask("GET", f"{top}/folder/sub%202/file%205").encode() == FILE + b"5"


def test_a_large_file_in_a_form_is_whole(drive, top):
    content = bytes(range(256)) * 20_000 + b"\r\n--" + BOUNDARY.encode()[:5]
    body, headers = form(("file", "large", content), ("file", "empty", b""))
    drive.ask("POST", f"{top}?t=upload", body, 201, **headers)
    assert drive.request("GET", f"{top}/large").body == content
    assert drive.request("GET", f"{top}/empty").body == b""


def test_a_name_of_ones_own_replaces_that_of_the_file(drive, top):
    body, headers = form(("file", "theirs", FILE))
    drive.ask("POST", f"{top}?t=upload&name=mine", body, 201, **headers)
    assert list(drive.json("GET", f"{top}?t=json")[1]["children"]) == ["mine"]


def test_a_form_may_become_a_slot_or_be_linked_nowhere(drive, top):
    body, headers = form(("file", "slot", FILE))
    assert drive.ask("POST", f"{top}?t=upload&format=SLOT", body, 201, **headers).startswith("URI:SLOT:")
    cap = drive.ask("POST", "/uri?t=upload", body, 201, **headers)
    assert drive.ask("GET", f"/uri/{cap}") == FILE.decode()


@pytest.mark.parametrize("name", ["../up", "a/../../b", "..", "/", "a//b"])
def test_a_path_out_of_the_directory_is_refused(drive, top, name):
    body, headers = form(("file", name, FILE))
    assert drive.request("POST", f"{top}?t=upload", body, **headers).status == 400
    assert drive.json("GET", f"{top}?t=json")[1]["children"] == {}


def test_a_file_that_is_there_stays_if_the_form_says_so(drive, top):
    body, headers = form(("file", "a", FILE))
    drive.ask("POST", f"{top}?t=upload", body, 201, **headers)
    other, headers = form(("file", "a", b"other" * 100))
    drive.ask("POST", f"{top}?t=upload&replace=false", other, 409, **headers)
    assert drive.ask("GET", f"{top}/a") == FILE.decode()


@pytest.mark.parametrize("cut", [10, 60, 200, 1000, -30, -3])
def test_a_form_that_breaks_off_leaves_nothing_half_stored(drive, top, cut):
    body, headers = form(("file", "whole", b"w" * 40), ("file", "half", FILE))
    short = body[:cut]
    reply = drive.request("POST", f"{top}?t=upload", short, **headers)
    assert reply.status == 400
    children = drive.json("GET", f"{top}?t=json")[1]["children"]
    assert "half" not in children or cut == -3


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "multipart/form-data; boundary="])
def test_what_is_no_form_is_refused(drive, top, kind):
    assert drive.request("POST", f"{top}?t=upload", b"x" * 100, Content_Type=kind).status == 400


def test_a_form_of_nonsense_is_refused(drive, top):
    headers = {"Content_Type": f"multipart/form-data; boundary={BOUNDARY}"}
    assert drive.request("POST", f"{top}?t=upload", b"x" * 100_000, **headers).status == 400
    body, headers = form(("comment", None, b"no file"))
    assert drive.request("POST", f"{top}?t=upload", body, **headers).status == 400


def test_a_field_or_a_header_of_endless_length_is_refused(drive, top):
    body, headers = form(("comment", None, b"x" * 100_000), ("file", "a", FILE))
    assert drive.request("POST", f"{top}?t=upload", body, **headers).status == 413
    body, headers = form(("file", "x" * 40_000, FILE))
    assert drive.request("POST", f"{top}?t=upload", body, **headers).status == 400


def test_a_read_only_directory_takes_no_form(drive, top):
    shared = drive.ask("GET", f"{top}?t=readonly-uri")
    body, headers = form(("file", "a", FILE))
    reply = drive.request("POST", f"/uri/{shared}?t=upload", body, Accept="application/json", **headers)
    assert (reply.status, json.loads(reply.body)["kind"]) == (403, "ReadOnly")


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil", "d/x", "/d/x\r\nX: y", "/d/ x"]
)
def test_a_form_sends_nobody_to_another_site(drive, top, target):
    from urllib.parse import quote  # noqa: PLC0415  # only here

    assert drive.request("POST", f"{top}/new?t=mkdir&when_done={quote(target, safe='')}").status == 400
    assert drive.json("GET", f"{top}?t=json")[1]["children"] == {}


def test_a_form_sends_on_to_a_page_of_the_gateway(drive, top):
    reply = drive.request("POST", f"{top}/new?t=mkdir&when_done=/d/abc%3Fx%3D1")
    assert (reply.status, reply.headers["location"]) == (303, "/d/abc?x=1")


def test_fields_before_the_files_are_parameters(drive, top):
    body, headers = form(("t", None, b"upload"), ("name", None, b"mine"), ("file", "theirs", FILE))
    drive.ask("POST", top, body, 201, **headers)
    assert drive.ask("GET", f"{top}/mine") == FILE.decode()
    body, headers = form(("t", None, b"upload"), ("when_done", None, b"/d/abc"), ("file", "other", FILE))
    reply = drive.request("POST", top, body, **headers)
    assert (reply.status, reply.headers["location"]) == (303, "/d/abc")
    body, headers = form(("t", None, b"mkdir"), ("name", None, b"folder"))
    drive.ask("POST", top, body, 201, **headers)
    assert set(drive.json("GET", f"{top}?t=json")[1]["children"]) == {"mine", "other", "folder"}


def test_the_query_counts_more_than_the_form(drive, top):
    body, headers = form(("name", None, b"of the form"), ("file", "theirs", FILE))
    drive.ask("POST", f"{top}?t=upload&name=of+the+query", body, 201, **headers)
    assert list(drive.json("GET", f"{top}?t=json")[1]["children"]) == ["of the query"]


def test_a_parameter_behind_a_file_is_not_passed_over_in_silence(drive, top):
    body, headers = form(("file", "theirs", FILE), ("name", None, b"mine"))
    assert "before the files" in drive.ask("POST", f"{top}?t=upload", body, 400, **headers)


def test_a_form_without_files_has_parameters_too(drive, top):
    headers = {"Content_Type": "application/x-www-form-urlencoded"}
    cap = drive.ask("PUT", "/uri", FILE, 201)
    drive.ask("POST", top, urlencode({"t": "mkdir", "name": "Käse & Brot"}), 201, **headers)
    drive.ask("POST", f"{top}?t=uri", urlencode({"name": "linked", "uri": cap}), 201, **headers)
    assert set(drive.json("GET", f"{top}?t=json")[1]["children"]) == {"Käse & Brot", "linked"}
    assert drive.request("POST", top, b"t=mkdir&name=%ff", **headers).status == 400
    assert drive.request("POST", top, b"x=" + b"y" * 1_000_000, **headers).status == 413
    assert drive.request("POST", top, "t=localfile&localfile=/etc/passwd", **headers).status == 400


def test_what_curl_calls_a_form_is_still_a_body(drive, top):
    children = json.dumps({"one": ["filenode", {"ro_uri": drive.ask("PUT", "/uri", FILE, 201)}]})
    headers = {"Content_Type": "application/x-www-form-urlencoded"}  # as "curl --data" says of anything
    drive.ask("POST", f"{top}?t=set_children", children, **headers)
    assert drive.ask("GET", f"{top}/one") == FILE.decode()


def test_a_form_of_nobody_is_not_even_read(drive, top):
    body, headers = form(("t", None, b"upload"), ("file", "theirs", FILE))
    assert drive.request("POST", top, body, token=None, **headers).status == 401


def test_a_form_writes_into_the_slot_that_is_there(drive, top):
    slot = drive.ask("PUT", f"{top}/slot?format=SLOT", FILE, 201)
    body, headers = form(("file", "slot", b"new contents" * 100))
    assert drive.ask("POST", f"{top}?t=upload", body, 201, **headers) == slot
    assert drive.ask("GET", f"/uri/{slot}") == "new contents" * 100
    body, headers = form(("file", "slot", FILE))
    assert drive.ask("POST", f"{top}?t=upload&format=CHK", body, 201, **headers).startswith("URI:CHK:")


def test_a_form_may_name_the_file_itself(drive, top):
    slot = drive.ask("PUT", "/uri?format=SLOT", FILE, 201)
    drive.ask("PUT", f"{top}/file", FILE, 201)
    body, headers = form(("file", "whatever", b"new contents" * 100))
    assert drive.ask("POST", f"/uri/{slot}?t=upload", body, **headers) == slot
    drive.ask("POST", f"{top}/file?t=upload", body, **headers)
    for path in (f"/uri/{slot}", f"{top}/file"):
        assert drive.ask("GET", path) == "new contents" * 100
    assert drive.request("POST", f"{top}/file?t=upload&replace=false", body, **headers).status == 409
    immutable = drive.ask("PUT", "/uri", FILE)
    assert drive.request("POST", f"/uri/{immutable}?t=upload", body, **headers).status == 400
