"""What the gateway measures: transfers with their servers, statistics, and metrics that Prometheus can read."""

from __future__ import annotations

import http.client
import json
import re

import pytest

from tahoe.errors import NotEnoughShares
from tahoe.web.measures import open_metrics
from tests.web.conftest import TOKEN
from tests.web.test_files import HUGE

CONTENT = bytes(range(256)) * 4000


def transfers(running) -> list[dict]:
    return json.loads(running.request("GET", "/transfers?t=json").body)["transfers"]


def test_a_transfer_tells_which_server_took_how_long(drive):
    drive.ask("PUT", "/vdrive/private/file", CONTENT, 201)
    assert drive.request("GET", "/vdrive/private/file").body == CONTENT
    download, upload = transfers(drive)
    assert (upload["kind"], upload["name"], upload["moved"], upload["state"]) == (
        "upload",
        "file",
        len(CONTENT),
        "done",
    )
    assert (download["kind"], download["moved"], download["state"]) == ("download", len(CONTENT), "done")
    assert set(upload["servers"]) == {server.name for server in drive.grid.servers}
    sent = sum(server["bytes"] for server in upload["servers"].values())
    assert 2 * len(CONTENT) <= sent < 3 * len(CONTENT)
    told = drive.json("GET", f"/transfers/{upload['id']}")
    assert {asked["server"] for asked in told["timeline"]} == set(upload["servers"])
    assert all(asked["seconds"] >= 0 and asked["outcome"] == "answered" for asked in told["timeline"])


def test_the_slow_server_is_obvious(drive):
    slow = drive.grid.servers[1]
    slow.delay = 0.3
    drive.ask("PUT", "/uri", CONTENT, 201)
    servers = transfers(drive)[0]["servers"]
    assert max(servers, key=lambda node: servers[node]["slowest"]) == slow.name


def test_a_running_download_tells_how_far_it_is(gateway):
    with gateway.connect() as connection:
        connection.sendall(f"GET /uri/{HUGE} HTTP/1.0\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        told = transfers(gateway)[0]
    assert (told["state"], told["size"]) == ("running", HUGE.size)
    assert 0 < told["moved"] < HUGE.size


def test_transfers_at_once_have_accounts_of_their_own(drive):
    drive.ask("PUT", "/vdrive/private/file", CONTENT, 201)
    drive.ask("PUT", "/vdrive/private/slot?format=SLOT", CONTENT, 201)
    first = transfers(drive)
    assert [each["kind"] for each in first] == ["upload", "upload"]
    assert all(each["servers"] for each in first)


def test_what_comes_later_on_the_same_connection_is_not_on_its_account(drive):
    connection = http.client.HTTPConnection("127.0.0.1", drive.port, timeout=30)
    token = {"Authorization": f"Bearer {TOKEN}"}
    try:
        connection.request("PUT", "/uri", CONTENT * 4, token)  # so long that it waits for leave to go on
        connection.getresponse().read()
        path = f"/transfers/{transfers(drive)[0]['id']}"
        before = drive.json("GET", path)
        connection.request("PUT", "/vdrive/private/folder/file", b"x" * 100, token)
        connection.getresponse().read()
        assert drive.json("GET", path) == before
    finally:
        connection.close()


def test_what_failed_says_why_and_no_capability(gateway):
    gateway.client.failure = NotEnoughShares(1, 3, ("URI:CHK:aaaa is lost",))
    gateway.request("GET", f"/uri/{HUGE}")
    told = transfers(gateway)[0]
    assert told["state"] == "failed"
    assert "found 1 good shares" in told["error"]
    assert "aaaa" not in json.dumps(told)
    assert str(HUGE) not in json.dumps(told)


def test_a_transfer_nobody_knows_is_not_found(gateway):
    assert gateway.request("GET", "/transfers/unknown").status == 404


@pytest.mark.parametrize(
    "path", ["/statistics?t=json", "/storage?t=json", "/status", "/?t=json", "/transfers", "/jobs"]
)
def test_all_that_is_measured_is_json(gateway, path):
    json.loads(gateway.request("GET", path).body)


def test_the_counts_grow_with_every_transfer(drive):
    drive.ask("PUT", "/uri", CONTENT, 201)
    told = drive.json("GET", "/statistics?t=json")
    assert told["transfers"]["upload"] == {"ended": 1, "failed": 0, "bytes": len(CONTENT), "running": 0}
    assert told["process"]["processor_seconds"] > 0


LINE = re.compile(r'[a-z_]+(\{[a-z]+="[^"\n]*"\})? -?[0-9.e+-]+')


def test_metrics_are_open_metrics(gateway):
    reply = gateway.request("GET", "/metrics")
    assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    lines = reply.body.decode().split("\n")
    assert lines[-2:] == ["# EOF", ""]
    families = {}
    for line in lines[:-2]:
        if line.startswith("# TYPE "):
            family, kind = line.split()[2:]
            assert family not in families
            families[family] = kind
        elif not line.startswith("# "):
            assert LINE.fullmatch(line), line
            name = re.split(r"[{ ]", line)[0]
            assert families[name.removesuffix("_total")] == ("counter" if name.endswith("_total") else "gauge")
    assert families["tahoe_transfers_bytes"] == "counter"


def test_a_label_can_not_break_a_line():
    found = {
        "uptime_seconds": 1.0,
        "transfers": {},
        "jobs": {},
        "servers": {},
        "brokers_connected": 1,
        "storage": {"capacity": 5, "available": 4, "shares": 3, "corrupt": 0, "accepts": True},
        "packets_dropped": {'a"b\\c\nd': 3},
        "failures": 0,
        "process": {"processor_seconds": 1.0, "peak_memory_bytes": 1},
    }
    lines = list(open_metrics(found))
    assert r'tahoe_packets_dropped_total{reason="a\"b\\c\nd"} 3' in lines
    assert all("\n" not in line for line in lines)
