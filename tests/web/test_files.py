"""Files through the gateway: whole, in part, slowly, in vain."""

from __future__ import annotations

import hashlib
import random
import select
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tahoe.codec.capability import ImmutableRead
from tahoe.errors import NotEnoughServers, NotEnoughShares
from tahoe.net.logs import HumanFormatter
from tahoe.web.errors import ClientGone
from tahoe.web.spool import SMALL

HUGE = ImmutableRead(b"h" * 16, b"u" * 32, 3, 10, 2 << 30)
"""A capability of which the stand-in client makes up zeros."""


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def logged(caplog) -> str:
    """All lines as a node's log has them."""
    formatter = HumanFormatter()
    return "\n".join(formatter.format(record) for record in caplog.records)


@pytest.mark.parametrize("size", [0, 1, 55, 56, 10_000, SMALL, SMALL + 1, 5_000_000])
@pytest.mark.parametrize("query", ["", "?convergence=none", "?convergence=node"])
def test_what_is_put_comes_back(gateway, size, query):
    cap = gateway.put(content(size), query)
    reply = gateway.request("GET", f"/uri/{cap}", token=None)
    assert (reply.status, reply.body) == (200, content(size))
    assert reply.headers["content-length"] == str(size)
    assert reply.headers["accept-ranges"] == "bytes"


def test_the_second_copy_of_a_file_is_not_new(gateway):
    first = gateway.request("PUT", "/uri", content(1000))
    second = gateway.request("PUT", "/uri", content(1000))
    assert (first.status, second.status) == (201, 200)
    assert first.body == second.body


def test_a_body_in_chunks_needs_no_length(gateway):
    pieces = [content(70_000), content(3), content(2_000_000)]
    cap = gateway.request("PUT", "/uri", iter(pieces)).text
    assert gateway.request("GET", f"/uri/{cap}").body == b"".join(pieces)


def test_a_body_that_nobody_announced_is_refused(gateway):
    answer = gateway.raw(
        b"PUT /uri HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token-for-tests\r\nConnection: close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 411 ")


def test_a_large_body_waits_in_a_file_without_a_name(gateway):
    gateway.put(content(SMALL + 1))
    assert gateway.client.seen_while_uploading == ["node.url"]
    assert [path.name for path in gateway.directory.iterdir()] == ["node.url"]


def test_a_spool_without_room_is_said_before_the_body_is_sent(gateway):
    gateway.request("PUT", "/uri", b"")
    with gateway.connect() as connection:
        connection.sendall(
            b"PUT /uri HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token-for-tests\r\n"
            b"Content-Length: 9000000000000000000\r\nConnection: close\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 507 ")


def test_head_tells_the_size_without_a_download(gateway):
    cap = gateway.put(content(10_000))
    reply = gateway.request("HEAD", f"/uri/{cap}")
    assert (reply.status, reply.headers["content-length"], reply.body) == (200, "10000", b"")
    assert gateway.client.pulled == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, 310_000), length=st.integers(1, 310_000), size=st.sampled_from([40, 300_000]))
def test_a_range_is_a_slice(gateway, first, length, size):
    cap = gateway.put(content(size))
    reply = gateway.request("GET", f"/uri/{cap}", Range=f"bytes={first}-{first + length - 1}")
    if first >= size:
        assert (reply.status, reply.headers["content-range"]) == (416, f"bytes */{size}")
    else:
        expected = content(size)[first : first + length]
        assert (reply.status, reply.body) == (206, expected)
        assert reply.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{size}"


def test_a_suffix_range_fetches_only_the_end(gateway):
    cap = gateway.put(content(1_000_000))
    reply = gateway.request("GET", f"/uri/{cap}", Range="bytes=-100")
    assert (reply.status, reply.body) == (206, content(1_000_000)[-100:])
    assert gateway.client.pulled == 100


def test_a_known_file_is_not_sent_again(gateway):
    cap = gateway.put(content(1000))
    tag = gateway.request("HEAD", f"/uri/{cap}").headers["etag"]
    reply = gateway.request("GET", f"/uri/{cap}", If_None_Match=tag)
    assert (reply.status, reply.body) == (304, b"")
    assert gateway.request("GET", f"/uri/{cap}", If_None_Match='"other"').status == 200


def test_a_range_of_another_version_becomes_the_whole_file(gateway):
    cap = gateway.put(content(1000))
    tag = gateway.request("HEAD", f"/uri/{cap}").headers["etag"]
    assert gateway.request("GET", f"/uri/{cap}", Range="bytes=0-1", If_Range='"other"').status == 200
    assert gateway.request("GET", f"/uri/{cap}", Range="bytes=0-1", If_Range=tag).status == 206


def test_the_tag_gives_no_power_over_the_file(gateway):
    cap = gateway.put(content(1000))
    key = cap.split(":")[2]
    assert key not in gateway.request("HEAD", f"/uri/{cap}").headers["etag"]


@pytest.mark.parametrize(
    "cap",
    [
        "URI:CHK:nonsense",
        "URI:CHK-Verifier:aaaaaaaaaaaaaaaaaaaaaaaaaa:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:3:10:99",
        "URI:SSK:aaaaaaaaaaaaaaaaaaaaaaaaaa:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "hello",
    ],
)
def test_what_is_no_readable_file_is_a_bad_request(gateway, cap):
    reply = gateway.request("GET", f"/uri/{cap}")
    assert reply.status == 400
    assert cap not in reply.text


def test_too_few_shares_are_gone_before_an_answer_begins(gateway):
    gateway.client.failure = NotEnoughShares(2, 3, ("server eve: no answer",))
    reply = gateway.request("GET", f"/uri/{HUGE}")
    assert reply.status == 410
    assert "2" in reply.text
    assert "server eve" in reply.text


def test_a_download_that_breaks_off_is_visibly_too_short(gateway):
    gateway.client.failure, gateway.client.fails_after = NotEnoughShares(2, 3), 1 << 20
    answer = gateway.raw(f"GET /uri/{HUGE} HTTP/1.0\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert len(body) == 1 << 20


def test_too_few_servers_say_what_was_found(gateway):
    gateway.client.failure = NotEnoughServers(4, 7, "4 servers took shares")
    reply = gateway.request("PUT", "/uri", content(100))
    assert reply.status == 503
    assert "4 servers took shares" in reply.text


def test_a_transfer_that_breaks_off_is_logged(gateway, caplog):
    gateway.client.failure, gateway.client.fails_after = NotEnoughShares(2, 3), 1 << 20
    gateway.raw(f"GET /uri/{HUGE} HTTP/1.0\r\n\r\n".encode())
    assert "found 2 good shares" in logged(caplog)


def test_an_error_that_quotes_a_capability_is_censored(gateway, caplog):
    gateway.client.failure = NotEnoughShares(2, 3, (f"could not read {HUGE}",))
    reply = gateway.request("GET", f"/uri/{HUGE}")
    assert "could not read URI:..." in reply.text
    gateway.client.failure = RuntimeError(f"bug with {HUGE}")
    assert gateway.request("GET", f"/uri/{HUGE}").status == 500
    assert "RuntimeError" in logged(caplog)
    assert "in _stream" in logged(caplog)
    assert "bug with" not in logged(caplog)


def test_no_capability_reaches_the_log(gateway, caplog):
    with caplog.at_level("DEBUG"):
        cap = gateway.put(content(1000))
        gateway.request("GET", f"/uri/{cap}")
        gateway.request("GET", f"/{cap}")
        gateway.request("GET", f"/uri/{cap}/more")
    assert "path=/uri/..." in logged(caplog)
    assert cap.split(":")[2] not in logged(caplog)
    assert cap.split(":")[2] not in caplog.text


def test_a_stalled_reader_stops_the_download(gateway):
    with gateway.connect() as connection:
        connection.sendall(f"GET /uri/{HUGE} HTTP/1.0\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        for _ in range(100):
            assert gateway.request("GET", "/").status == 200
        assert gateway.client.pulled < 32 << 20
        assert not gateway.client.downloads_ended.is_set()
    assert gateway.client.downloads_ended.wait(10)
    assert gateway.client.pulled < 64 << 20


def test_a_slow_grid_stops_the_sender(gateway):
    gateway.call(gateway.client.gate.clear)
    sent = 0
    piece = bytes(1 << 16)
    with gateway.connect() as connection:
        connection.sendall(
            b"PUT /uri?convergence=none HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token-for-tests\r\n"
            b"Content-Length: 2000000000\r\n\r\n"
        )
        while select.select([], [connection], [], 1.0)[1]:
            sent += connection.send(piece)
            assert sent < 64 << 20
    gateway.call(gateway.client.gate.set)
    assert gateway.client.read <= 1 << 20


@pytest.mark.parametrize("query", [b"", b"?convergence=none"])
def test_an_upload_that_breaks_off_stores_nothing(gateway, query):
    with gateway.connect() as connection:
        connection.sendall(
            b"PUT /uri" + query + b" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token-for-tests\r\n"
            b"Content-Length: 2000000\r\n\r\n" + bytes(1_500_000)
        )
    for _ in range(100):
        gateway.request("GET", "/")
        if gateway.client.uploads_ended:
            break
    assert [type(end) for end in gateway.client.uploads_ended] == [ClientGone]
    assert gateway.client.files == {}


def test_a_client_that_waits_for_leave_is_told_to_go_on(gateway):
    body = content(1000)
    with gateway.connect() as connection:
        connection.sendall(
            b"PUT /uri HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token-for-tests\r\n"
            b"Content-Length: 1000\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert gateway.client.files.popitem()[1] == body


def test_a_spooled_body_reads_the_same_twice(gateway):
    size = 3 * SMALL + 17
    cap = gateway.put(content(size))
    stored = next(iter(gateway.client.files.values()))
    assert hashlib.sha256(stored).digest() == hashlib.sha256(content(size)).digest()
    assert str(size) in cap


def test_the_address_is_on_disk_while_the_gateway_runs(gateway):
    url = (Path(gateway.directory) / "node.url").read_text().strip()
    assert url == f"http://127.0.0.1:{gateway.port}/"
