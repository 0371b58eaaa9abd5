"""Browsers' sessions: let in once by a code, good only under the node's own name and for its own pages."""

from __future__ import annotations

import json

import pytest

from tahoe.codec.capability import parse
from tahoe.web.places import Place
from tahoe.web.sessions import CODE_SECONDS, IDLE_SECONDS, MOST_HANDLES, MOST_SESSIONS, Session, Sessions


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def own(gateway) -> str:
    """The host name of the node's own, with the port."""
    return f"{gateway.services.guard.sessions.host}:{gateway.port}"


def invited(gateway) -> str:
    """A code that lets a browser in."""
    url = json.loads(gateway.request("POST", "/session").body)["url"]
    address, _, code = url.partition("/session?code=")
    assert address == f"http://{gateway.services.guard.sessions.host}:{gateway.port}"
    return code


@pytest.fixture
def cookie(gateway, own) -> str:
    entered = gateway.request("GET", f"/session?code={invited(gateway)}", token=None, Host=own)
    assert (entered.status, entered.headers["location"]) == (303, "/")
    return entered.headers["set-cookie"].partition(";")[0]


def test_a_code_lets_one_browser_in_once(gateway, own, cookie):
    assert gateway.request("GET", "/status", token=None, Host=own, Cookie=cookie).status == 200
    code = invited(gateway)
    assert gateway.request("GET", f"/session?code={code}", token=None, Host=own).status == 303
    assert gateway.request("GET", f"/session?code={code}", token=None, Host=own).status == 403
    assert gateway.request("GET", "/session?code=guessed", token=None, Host=own).status == 403


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(gateway, own):
    code = invited(gateway)
    cookie = gateway.request("GET", f"/session?code={code}", token=None, Host=own).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "domain" not in cookie


def test_a_session_does_not_let_others_in(gateway, own, cookie):
    assert gateway.request("POST", "/session", token=None).status == 401
    reply = gateway.request("POST", "/session", token=None, Host=own, Cookie=cookie, Sec_Fetch_Site="same-origin")
    assert reply.status == 403


def test_a_session_ends_when_the_browser_says_so(gateway, own, cookie):
    reply = gateway.request("DELETE", "/session", token=None, Host=own, Cookie=cookie, Sec_Fetch_Site="cross-site")
    assert reply.status == 403
    reply = gateway.request("DELETE", "/session", token=None, Host=own, Cookie=cookie, Sec_Fetch_Site="same-origin")
    assert (reply.status, "max-age=0" in reply.headers["set-cookie"].lower()) == (200, True)
    assert gateway.request("GET", "/status", token=None, Host=own, Cookie=cookie).status == 401
    assert gateway.request("DELETE", "/session").status == 401


def test_a_cookie_counts_only_under_the_nodes_own_name(gateway, cookie):
    for host in ("localhost", "127.0.0.1"):
        assert gateway.request("GET", "/status", token=None, Host=host, Cookie=cookie).status == 401
        code = invited(gateway)
        assert gateway.request("GET", f"/session?code={code}", token=None, Host=host).status == 421


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8080"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "own"},
    ],
)
def test_a_form_of_another_site_changes_nothing(gateway, own, cookie, headers):
    headers = {name: f"http://{own}" if value == "own" else value for name, value in headers.items()}
    for method, path in (("PUT", "/uri"), ("POST", "/uri?t=mkdir"), ("DELETE", "/jobs/x")):
        reply = gateway.request(method, path, b"x" * 100, token=None, Host=own, Cookie=cookie, **headers)
        assert reply.status == 403
    assert gateway.client.files == {}


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "own"}])
def test_the_gateways_own_pages_change_things(gateway, own, cookie, headers):
    headers = {name: f"http://{own}" if value == "own" else value for name, value in headers.items()}
    reply = gateway.request("PUT", "/uri", b"x" * 100, token=None, Host=own, Cookie=cookie, **headers)
    assert reply.status == 201


def test_other_sites_read_nothing_with_a_cookie(gateway, own, cookie):
    for site, status in (("cross-site", 403), ("same-site", 403), ("none", 200), ("same-origin", 200)):
        reply = gateway.request("GET", "/status", token=None, Host=own, Cookie=cookie, Sec_Fetch_Site=site)
        assert reply.status == status


def test_a_wrong_token_is_not_excused_by_a_cookie(gateway, own, cookie):
    assert gateway.request("GET", "/status", token="wrong", Host=own, Cookie=cookie).status == 401


@pytest.mark.parametrize("cookie", ["", "tahoe_session", "tahoe_session=", "tahoe_session=x; other", "\xff=;;=", "a=b"])
def test_odd_cookies_are_no_session(gateway, own, cookie):
    assert gateway.request("GET", "/status", token=None, Host=own, Cookie=cookie).status == 401


def test_a_code_lasts_a_minute_and_a_session_a_week():
    clock = Clock()
    sessions = Sessions("own.localhost", clock)
    code = sessions.invite()
    clock.time += CODE_SECONDS + 1
    assert sessions.admit(code) is None
    cookie = sessions.admit(sessions.invite())
    clock.time += IDLE_SECONDS - 1
    assert sessions.find(cookie) is not None
    clock.time += IDLE_SECONDS - 1
    assert sessions.find(cookie) is not None
    clock.time += IDLE_SECONDS + 1
    assert sessions.find(cookie) is None


def test_the_oldest_sessions_go_first():
    sessions = Sessions("own.localhost", Clock())
    cookies = [sessions.admit(sessions.invite()) for _ in range(MOST_SESSIONS + 1)]
    assert sessions.find(cookies[0]) is None
    assert sessions.find(cookies[-1]) is not None


def test_a_handle_stands_for_one_place():
    session = Session(0.0)
    place = Place("private", ("a", "b"))
    assert session.handle(place) == session.handle(Place("private", ("a", "b")))
    assert session.place(session.handle(place)) == place
    secret = str(parse("URI:DIR3:" + "a" * 52))
    assert secret not in session.handle(Place(parse(secret)))
    assert session.place("unknown") is None
    for number in range(MOST_HANDLES):
        session.handle(Place("private", (str(number),)))
    assert session.place(session.handle(place)) == place
