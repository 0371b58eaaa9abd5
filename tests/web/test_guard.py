"""Who the gateway lets do what, asked as attackers and old clients would."""

from __future__ import annotations

import json

import pytest


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:99", "[::1]", "[::1]:99", "LOCALHOST:80"])
def test_names_of_this_machine_are_served(gateway, host):
    assert gateway.request("GET", "/", Host=host).status == 200


def test_the_nodes_own_name_is_served(gateway):
    assert gateway.request("GET", "/", Host=gateway.services.guard.sessions.host).status == 200


@pytest.mark.parametrize(
    "host", ["grid.example", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "::1", ""]
)
def test_a_rebound_name_gets_nothing(gateway, host):
    cap = gateway.put(b"x" * 100)
    reply = gateway.request("GET", f"/uri/{cap}", Host=host)
    assert reply.status in {400, 421}
    assert b"x" not in reply.body


def test_two_hosts_are_none(gateway):
    answer = gateway.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert status_of(answer) == 400


def test_telnet_reads_without_a_host(gateway):
    cap = gateway.put(b"read by telnet" * 10)
    answer = gateway.raw(f"GET /uri/{cap} HTTP/1.0\r\n\r\n".encode())
    assert status_of(answer) == 200
    assert answer.endswith(b"\r\n\r\n" + b"read by telnet" * 10)


def test_telnet_does_not_write_without_a_host(gateway):
    head = b"PUT /uri HTTP/1.0\r\nAuthorization: Bearer a-token-for-tests\r\nContent-Length: 4\r\n\r\nabcd"
    assert status_of(gateway.raw(head)) == 400


def test_http_1_1_needs_a_host(gateway):
    assert status_of(gateway.raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")) == 400


@pytest.mark.parametrize("token", [None, "", "wrong", "a-token-for-test", "a-token-for-tests2"])
@pytest.mark.parametrize(("method", "path"), [("PUT", "/uri"), ("GET", "/status"), ("HEAD", "/status")])
def test_the_nodes_authority_needs_the_nodes_token(gateway, method, path, token):
    reply = gateway.request(method, path, token=token)
    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert gateway.client.uploads_ended == []


def test_other_schemes_are_no_token(gateway):
    assert gateway.request("GET", "/status", token=None, Authorization="Basic a-token-for-tests").status == 401


def test_the_status_is_json(gateway):
    reply = gateway.request("GET", "/status")
    assert reply.headers["content-type"] == "application/json"
    assert json.loads(reply.body)["nickname"] == "tests"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/uri/", 404), ("POST", "/uri", 400), ("DELETE", "/uri", 405)],
)
def test_what_is_not_offered_is_refused(gateway, method, path, status):
    assert gateway.request(method, path).status == status


def test_stored_content_is_shut_in(gateway):
    cap = gateway.put(b"<script>alert(1)</script>" * 10)
    headers = gateway.request("GET", f"/uri/{cap}").headers
    assert headers["content-security-policy"] == "sandbox"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
