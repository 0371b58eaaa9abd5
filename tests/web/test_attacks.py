"""Attacks on the gateway that need no browser: endless heads, slow senders, half bodies, hostile names, many ranges."""

from __future__ import annotations

import json
import socket
import time
from urllib.parse import quote

import pytest

from tahoe.codec.capability import ImmutableRead
from tahoe.web.manner import Manner
from tahoe.web.wire import MOST_HEAD_BYTES, StrictProtocol

FILE = b"<script>fetch('/status')</script>" * 10
AUTHORIZED = b"Host: localhost\r\nAuthorization: Bearer a-token-for-tests\r\n"


def hear(connection: socket.socket) -> bytes:
    """Everything until the other side hangs up."""
    heard = b""
    try:
        while piece := connection.recv(65536):
            heard += piece
    except ConnectionResetError:
        pass
    return heard


# --- heads -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Endless: ", b"GET /", b"GET / HTTP/1.1\r\n", b""]
)
def test_ten_megabytes_of_headers_are_cut_off(gateway, head):
    with gateway.connect() as connection:
        sent = 0
        try:
            connection.sendall(head)
            while sent < 10_000_000:
                connection.sendall(b"x-name: x\r\n" * 1000 if head.endswith(b"\r\n") else b"x" * 10_000)
                sent += 10_000
        except (BrokenPipeError, ConnectionResetError):
            pass
        hear(connection)
        assert sent < 8_000_000  # what fits into the sockets on the way, not what the sender has
    assert gateway.request("GET", "/").status == 200


def test_a_head_that_is_too_long_is_told_so(gateway):
    with gateway.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * MOST_HEAD_BYTES + b"\r\n\r\n")
        assert hear(connection).startswith(b"HTTP/1.1 431 ")


def test_a_long_path_of_long_names_is_served(drive):
    top = drive.ask("POST", "/uri?t=mkdir", status=201)
    path = "/".join(quote("ü" * 1300, safe="") for _ in range(5))
    assert drive.request("GET", f"/uri/{top}/{path}").status == 404
    assert drive.request("GET", f"/uri/{top}/{quote('ü' * 4200, safe='')}").status == 414
    assert drive.request("GET", f"/uri/{top}/" + "a/" * 300).status == 400


def test_who_sends_a_head_byte_by_byte_is_hung_up_on(gateway, monkeypatch):
    monkeypatch.setattr(StrictProtocol, "head_seconds", 0.3)
    with gateway.connect() as connection, gateway.connect() as silent:
        began = time.monotonic()
        try:
            for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 1000:
                connection.sendall(bytes([byte]))
                silent.settimeout(0.02)
                try:
                    if silent.recv(1) == b"":
                        break
                except TimeoutError:
                    continue
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert b"408" in hear(connection)[:20]
        assert time.monotonic() - began < 20


def test_the_clock_of_a_head_does_not_run_for_a_slow_body(gateway, monkeypatch):
    monkeypatch.setattr(StrictProtocol, "head_seconds", 1.0)
    with gateway.connect() as connection:
        connection.sendall(b"PUT /uri HTTP/1.1\r\n" + AUTHORIZED + b"Content-Length: 10\r\nConnection: close\r\n\r\n")
        for _ in range(5):
            time.sleep(0.3)
            connection.sendall(b"ab")
        assert hear(connection).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    "request_text",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"PUT /uri HTTP/1.1\r\n" + AUTHORIZED + b"Content-Length: -5\r\n\r\n",
        b"PUT /uri HTTP/1.1\r\n" + AUTHORIZED + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_nothing(gateway, request_text):
    with gateway.connect() as connection:
        connection.sendall(request_text)
        connection.shutdown(socket.SHUT_WR)
        answer = hear(connection)
    assert not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201"))
    assert gateway.client.files == {}


# --- bodies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/vdrive/private/a/b/file", "/vdrive/private/slot"])
@pytest.mark.parametrize(
    "length", [b"Content-Length: 2000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1E8480\r\n"]
)
@pytest.mark.parametrize("half", [True, False])
def test_an_upload_that_ends_half_way_changes_nothing(drive, path, length, half):
    drive.ask("PUT", "/vdrive/private/slot?format=SLOT", b"as it was", 201)
    with drive.connect() as connection:
        connection.sendall(f"PUT {path} HTTP/1.1\r\n".encode() + AUTHORIZED + length + bytes(1_500_000))
        if half:
            connection.shutdown(socket.SHUT_WR)
            hear(connection)
    for _ in range(100):
        if not any(each.ended is None for each in drive.services.transfers.all()):
            break
        drive.request("GET", "/")
    assert set(drive.json("GET", "/vdrive/private")[1]["children"]) == {"slot"}
    assert drive.ask("GET", "/vdrive/private/slot") == "as it was"


def test_json_of_endless_depth_or_length_is_refused(drive):
    assert drive.request("POST", "/uri?t=mkdir-with-children", b"[" * 1_000_000).status == 400
    body = b'{"a": "' + b"x" * (33 << 20) + b'"}'
    assert drive.request("POST", "/uri?t=mkdir-with-children", body).status == 413
    for nonsense in (
        "[]",
        "3",
        '{"a": 3}',
        '{"a": ["filenode", {"ro_uri": 3}]}',
        '{"a": ["filenode", {}]}',
        '{"a/b": []}',
    ):
        assert drive.request("POST", "/uri?t=mkdir-with-children", nonsense).status == 400


# --- contents ----------------------------------------------------------------------------------------------

NAMES = ["a.html", "a.svg", "a.xhtml", "a.xml", "a.js", "a.swf", "a.unknown", "a", "a.html.gz", "a.mht", "a.hta"]


@pytest.mark.parametrize("name", NAMES)
def test_anything_that_could_be_active_is_saved_and_not_shown(drive, name):
    drive.ask("PUT", f"/vdrive/private/{name}", FILE, 201)
    cap = drive.ask("GET", f"/vdrive/private/{name}?t=uri")
    for path in (f"/vdrive/private/{name}", f"/named/{cap}/{name}", f"/uri/{cap}?filename={name}"):
        headers = drive.request("GET", path).headers
        assert headers["content-security-policy"] == "sandbox"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-disposition"].startswith("attachment;")
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("name", ["a.txt", "a.png", "a.jpg", "a.mp3", "a.mp4", "a.pdf", "a.csv"])
def test_what_can_do_nothing_is_shown_unless_it_is_to_be_saved(drive, name):
    drive.ask("PUT", f"/vdrive/private/{name}", FILE, 201)
    assert drive.request("GET", f"/vdrive/private/{name}").headers["content-disposition"].startswith("inline;")
    saved = drive.request("GET", f"/vdrive/private/{name}?save=true").headers["content-disposition"]
    assert saved == f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}"


@pytest.mark.parametrize(
    "name",
    ['a"; x="', "a\r\nSet-Cookie: tahoe_session=x", "a\nb", "../../etc/passwd", "..\\x", "\u202egpj.exe", "\x00"],
)
def test_a_name_can_not_get_out_of_its_header(gateway, name):
    cap = gateway.put(FILE)
    reply = gateway.request("GET", f"/uri/{cap}?save=true&filename={quote(name, safe='')}")
    assert "set-cookie" not in reply.headers
    disposition = reply.headers["content-disposition"]
    assert disposition.count('"') == 2
    assert not set(disposition.partition("filename=")[2]) & set("/\\\r\n")


def test_a_name_of_any_kind_is_told_in_full(gateway):
    assert Manner("Überlänge €.txt", save=True).headers()["Content-Disposition"] == (
        "attachment; filename=\"_berl_nge _.txt\"; filename*=UTF-8''%C3%9Cberl%C3%A4nge%20%E2%82%AC.txt"
    )


@pytest.mark.parametrize(
    "header", ["bytes=" + ",".join(f"{n}-{n}" for n in range(5000)), "bytes=0-,0-,0-", "bytes=0-0,-1"]
)
def test_many_ranges_are_one_whole_file(gateway, header):
    cap = gateway.put(FILE)
    reply = gateway.request("GET", f"/uri/{cap}", Range=header)
    assert (reply.status, reply.body) == (200, FILE)


def test_a_range_of_a_huge_file_costs_what_it_is_long(gateway):
    huge = ImmutableRead(b"h" * 16, b"u" * 32, 3, 10, 1 << 50)
    reply = gateway.request("GET", f"/uri/{huge}", Range=f"bytes={1 << 49}-{(1 << 49) + 9}")
    assert (reply.status, reply.body, gateway.client.pulled) == (206, bytes(10), 10)


# --- what v0.6 had -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["localfile=/etc/passwd", "localdir=/etc", "t=upload&localfile=/etc/passwd"])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_files_of_this_machine_are_nobodys_business(gateway, method, query):
    reply = gateway.request(method, f"/uri/URI:LIT:?{query}", b"")
    assert reply.status == 400
    assert "web page" in reply.text


def test_no_answer_of_an_error_has_a_capability_in_it(drive):
    secret = drive.ask("POST", "/uri?t=mkdir", status=201)
    for path in (
        f"/uri/{secret}x",
        f"/uri/{secret}/no",
        f"/{secret}",
        f"/uri/{secret}?t=odd",
        f"/uri?uri={secret}&t=odd",
    ):
        for accept in ("*/*", "application/json"):
            reply = drive.request("GET", path, Accept=accept)
            assert reply.status >= 400
            assert secret.split(":")[2] not in reply.text + json.dumps(reply.headers)
