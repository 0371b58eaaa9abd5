"""Directories as zip files: whole, streamed, and harmless to whoever unpacks them."""

from __future__ import annotations

import io
import json
import zipfile
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.web import zips
from tahoe.web.zips import safe_name

FILE = b"contents " * 100


def unzipped(reply) -> zipfile.ZipFile:
    assert reply.status == 200
    archive = zipfile.ZipFile(io.BytesIO(reply.body))
    assert archive.testzip() is None
    return archive


@pytest.fixture
def top(drive) -> str:
    return f"/uri/{drive.ask('POST', '/uri?t=mkdir', status=201)}"


def test_a_tree_comes_down_as_one_file(drive, top):
    drive.ask("PUT", f"{top}/a/b/file", FILE, 201)
    drive.ask("PUT", f"{top}/a/small", b"tiny", 201)
    drive.ask("PUT", f"{top}/slot?format=SLOT", FILE * 2, 201)
    drive.ask("POST", f"{top}/empty?t=mkdir", status=201)
    archive = unzipped(drive.request("GET", f"{top}?t=zip"))
    assert set(archive.namelist()) == {"a/", "a/b/", "a/b/file", "a/small", "slot", "empty/"}
    assert archive.read("a/b/file") == FILE
    assert archive.read("a/small") == b"tiny"
    assert archive.read("slot") == FILE * 2


def test_a_large_file_in_a_zip_is_whole(drive, top):
    content = bytes(range(256)) * 20_000
    drive.ask("PUT", f"{top}/large", content, 201)
    reply = drive.request("GET", f"{top}?t=zip")
    assert "content-length" not in reply.headers
    assert reply.headers["content-disposition"].startswith("attachment;")
    assert unzipped(reply).read("large") == content


def test_a_directory_in_itself_is_left_out_and_one_linked_twice_is_there_twice(drive, top):
    drive.ask("PUT", f"{top}/a/file", FILE, 201)
    drive.ask("PUT", f"{top}/a/up?t=uri", top.removeprefix("/uri/"), 201)
    a = drive.ask("GET", f"{top}/a?t=uri")
    drive.ask("PUT", f"{top}/again?t=uri", a, 201)
    assert set(unzipped(drive.request("GET", f"{top}?t=zip")).namelist()) == {"a/", "a/file", "again/", "again/file"}


HOSTILE = ["..", ".", "a\\..\\..\\b", "C:", "con", "NUL.txt", "x\x07", "\u202egpj.exe", "trailing. ", "~", "-rf"]


def test_no_name_climbs_out_of_where_it_is_unpacked(drive, top, tmp_path):
    for name in HOSTILE:
        drive.ask("PUT", f"{top}/{quote(name, safe='')}/inside", FILE, 201)
        drive.ask("PUT", f"{top}/{quote(name + 'f', safe='')}", FILE, 201)
    archive = unzipped(drive.request("GET", f"{top}?t=zip"))
    assert len(archive.namelist()) == 3 * len(HOSTILE)
    for name in archive.namelist():
        parts = name.rstrip("/").split("/")
        assert all(part not in {"", ".", ".."} and not set(part) & set('\\:*?"<>|') for part in parts)
    archive.extractall(tmp_path / "inside")
    assert [path.name for path in tmp_path.iterdir() if path.name != "node.url"] == ["inside"]


def test_names_that_become_the_same_stay_apart(drive, top):
    for name in ("a:b.txt", "a?b.txt", "A*B.txt"):
        drive.ask("PUT", f"{top}/{quote(name, safe='')}", name.encode(), 201)
    archive = unzipped(drive.request("GET", f"{top}?t=zip"))
    assert len({name.casefold() for name in archive.namelist()}) == 3
    assert sorted(archive.read(name) for name in archive.namelist()) == [b"A*B.txt", b"a:b.txt", b"a?b.txt"]


def test_a_file_that_is_lost_breaks_the_zip_off(drive, top):
    drive.ask("PUT", f"{top}/a", FILE * 100, 201)
    lost = "URI:CHK:aaaaaaaaaaaaaaaaaaaaaaaaaa:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:2:4:99999"
    drive.ask("POST", f"{top}?t=set_children", json.dumps({"b": ["filenode", {"ro_uri": lost}]}))
    answer = drive.raw(f"GET {top}?t=zip HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert not answer.endswith(b"0\r\n\r\n")
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(answer.partition(b"\r\n\r\n")[2]))


def test_a_tree_that_multiplies_itself_ends(drive, top, monkeypatch):
    monkeypatch.setattr(zips, "MOST_ENTRIES", 100)
    below = drive.ask("PUT", "/uri", FILE, 201)
    for _ in range(10):
        twice = {name: ["filenode", {"ro_uri": below}] for name in ("a", "b")}
        below = drive.ask("POST", "/uri?t=mkdir-with-children", json.dumps(twice), 201)
    answer = drive.raw(f"GET /uri/{below}?t=zip HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert not answer.endswith(b"0\r\n\r\n")
    assert len(answer) < 100 * (len(FILE) + 500)


def test_a_zip_of_a_file_is_refused(drive, top):
    drive.ask("PUT", f"{top}/a", FILE, 201)
    assert drive.request("GET", f"{top}/a?t=zip").status == 400


@given(st.text())
def test_any_name_becomes_one_name_that_stays_as_it_is(name):
    safe = safe_name(name)
    assert safe
    assert safe not in {".", ".."}
    assert "/" not in safe
    assert safe_name(safe) == safe
