"""Files of all sizes through a real grid, read whole and in parts, and what a stranger sees of it."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

import paho.mqtt.client as mqtt
import pytest

from tahoe.codec import capability
from tahoe.codec.base32 import decode, encode
from tahoe.codec.keys import lease_secrets
from tahoe.net.card import GridCard
from tahoe.net.directory import NodeDirectory
from tahoe.net.keys import load_secret
from tests.real.grid import CLIENT_NAME, INTRODUCER, Gateway, RealGrid, until

MEBIBYTE = 2**20


def _random(size: int) -> bytes:
    return os.urandom(size)


@pytest.mark.parametrize("size", [0, 1, 55, 56, 10_000, MEBIBYTE, MEBIBYTE + 1, 20_000_000])
def test_a_file_of_any_size_comes_back_identical(grid, size):
    data = _random(size)
    cap = grid.gateway.put(data)
    assert grid.gateway.get(cap) == data
    assert cap.startswith("URI:LIT:" if size <= 55 else "URI:CHK:")


@pytest.mark.parametrize(
    ("first", "last"), [(0, 0), (MEBIBYTE - 1, MEBIBYTE), (2_499_999, 2_499_999), (100, 1_999_999)]
)
def test_a_range_is_that_part_of_the_file(grid, first, last):
    data = hashlib.shake_256(b"a file for ranges").digest(2_500_000)
    reply = grid.gateway.ask("GET", f"/uri/{grid.gateway.put(data)}", Range=f"bytes={first}-{last}")
    assert reply.status == 206
    assert reply.body == data[first : last + 1]
    assert reply.headers["content-range"] == f"bytes {first}-{last}/2500000"


def test_a_file_with_a_random_key_is_streamed_and_comes_back(grid):
    data = _random(3_000_000)
    first, second = grid.gateway.put(data, "?convergence=none"), grid.gateway.put(data, "?convergence=none")
    assert first != second
    assert grid.gateway.get(first) == data


def test_a_file_that_is_stored_already_is_not_sent_again(grid):
    data = _random(2_000_000)
    cap = grid.gateway.put(data)
    before = {path: path.stat().st_ino for name in grid.server_names for path in grid.shares(name)}
    with Listener(grid) as listener:
        reply = grid.gateway.ask("PUT", "/uri", data)
        assert reply.status == 200
        assert reply.text.strip() == cap
        assert 0 < listener.volume() < len(data) // 50
        grid.gateway.put(_random(2_000_000))
        until(lambda: listener.volume() > 2 * len(data), "a new file is heard")
    assert (
        before.items() <= {path: path.stat().st_ino for name in grid.server_names for path in grid.shares(name)}.items()
    )


def test_every_server_holds_one_share_of_ten(grid):
    index = capability.parse(grid.gateway.put(_random(50_000))).storage_index
    assert index is not None
    holders = [
        name for name in grid.server_names if any(decode(path.parent.name) == index for path in grid.shares(name))
    ]
    assert holders == list(grid.server_names)


def test_two_clients_may_store_the_same_file_at_the_same_moment(grid):
    other = grid.add_client("second-client")
    (other.directory / "private" / "convergence").write_text((grid.client / "private" / "convergence").read_text())
    grid.kill(["second-client"])
    grid._start("second-client", "run", "--quiet", str(other.directory))
    until(lambda: (other.directory / "node.url").exists() and _sees_everybody(other), "the second client is back")
    data = _random(5_000_000)
    caps: list[str] = []
    threads = [
        threading.Thread(target=lambda gateway=gateway: caps.append(gateway.put(data)))
        for gateway in (grid.gateway, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(caps) == 2
    assert caps[0] == caps[1]
    assert other.get(caps[0]) == data
    assert len(_shares_of(grid, caps[0])) == 10
    assert [path for name in grid.server_names for path in grid.uploads(name)] == []
    grid.kill(["second-client"])


def _sees_everybody(gateway: Gateway) -> bool:
    try:
        servers = json.loads(gateway.ask("GET", "/status").body)["servers"]
    except (OSError, ValueError):
        return False
    return sum(server["online"] is True for server in servers) == 10


def test_writing_needs_the_token_and_reading_does_not(grid):
    data = _random(1000)
    cap = grid.gateway.put(data)
    assert grid.gateway.ask("PUT", "/uri", data, Authorization="Bearer wrong").status == 401
    assert grid.gateway.ask("GET", f"/uri/{cap}", Authorization="").body == data
    assert grid.gateway.ask("GET", f"/uri/{cap}", Host="evil.example").status == 421


def test_old_http_without_a_host_reads_a_file(grid):
    data = _random(1000)
    cap = grid.gateway.put(data)
    with socket.create_connection(grid.gateway.address, timeout=30) as connection:
        connection.sendall(f"GET /uri/{cap} HTTP/1.0\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split(b"\r\n\r\n", 1)[1] == data


# --- the broker's view -------------------------------------------------------------------------------------


class Listener:
    """Somebody who subscribes to everything that the broker carries, and can send it again."""

    def __init__(self, grid: RealGrid) -> None:
        assert grid.broker is not None
        port = int(grid.broker.url.rsplit(":", 1)[1].strip("/"))
        self.packets: list[tuple[str, bytes]] = []
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.on_message = lambda _client, _data, message: self.packets.append(
            (message.topic, bytes(message.payload))
        )
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("#")
        self.client.loop_start()
        until(self.client.is_connected, "the listener listens")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def volume(self) -> int:
        """Bytes heard so far."""
        return sum(len(payload) for _, payload in list(self.packets))

    def everything(self) -> bytes:
        """All that was heard, topics and contents."""
        return b"\n".join(topic.encode() + b" " + payload for topic, payload in list(self.packets))

    def replay(self) -> None:
        """Publish all that was heard until now once more."""
        for topic, payload in list(self.packets):
            self.client.publish(topic, payload)


def _secrets_of(grid: RealGrid) -> dict[str, bytes]:
    """What a client node and its grid keep to themselves."""
    private = grid.client / "private"
    card = GridCard.load(grid.plan.root / INTRODUCER / "grid.toml")
    texts = {path.name: path.read_text().strip() for path in private.iterdir() if path.name != "report"}
    assert {"api_token", "convergence", "secret"} <= texts.keys()
    found = {name: text.encode() for name, text in texts.items()}
    found |= {f"{name}, raw": decode(texts[name]) for name in ("convergence", "secret")}
    return found | {"join secret": bytes(card.join_secret), "join secret in text": encode(card.join_secret).encode()}


def _lease_secrets_of(grid: RealGrid, storage_index: bytes) -> dict[str, bytes]:
    """The secrets by which every server knows the holder of its lease on a file."""
    master = load_secret(grid.client / "private" / "secret")
    found: dict[str, bytes] = {}
    for name in grid.server_names:
        server = NodeDirectory(grid.plan.root / name).load_identity()
        lease = lease_secrets(master, storage_index, server.lease_seed)
        found |= {f"renewal secret for {name}": lease.renew, f"cancel secret for {name}": lease.cancel}
    return found


def test_who_listens_to_everything_sees_no_plaintext_no_capability_and_no_secret(grid):
    data = b"what nobody else may read " * 2000
    with Listener(grid) as listener:
        cap = grid.gateway.put(data)
        assert grid.gateway.get(cap) == data
        until(lambda: listener.volume() > 5 * len(data) // 2, "put and get were heard")
        heard = listener.everything()
    read = capability.parse(cap)
    assert isinstance(read, capability.ImmutableRead)
    forbidden = {
        "plaintext": data[:26],
        "capability": cap.encode(),
        "key": read.key,
        "key in text": encode(read.key).encode(),
    }
    forbidden |= {"storage index": read.storage_index, "UEB hash": read.ueb_hash} | _secrets_of(grid)
    forbidden |= _lease_secrets_of(grid, read.storage_index)
    for name, path in _shares_of(grid, cap).items():
        forbidden[f"a piece of the share of {name}"] = path.read_bytes()[200:232]
    for what, secret in forbidden.items():
        assert len(secret) >= 16
        assert secret not in heard, f"the {what} went over the wire"


def _contents(grid: RealGrid) -> dict[Path, bytes]:
    return {path: path.read_bytes() for name in grid.server_names for path in grid.shares(name)}


def _dropped(grid: RealGrid, name: str) -> int:
    """How many packets a node has dropped, as ``tahoe status --json`` tells."""
    command = [sys.executable, "-m", "tahoe.cli.main", "status", "--json", str(grid.plan.root / name)]
    report = json.loads(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout)
    return sum(report["dropped"].values())


def test_packets_sent_again_change_nothing_and_are_counted_also_after_a_restart(grid):
    data = _random(100_000)
    with Listener(grid) as listener:
        cap = grid.gateway.put(data)
        assert grid.gateway.get(cap) == data
        until(lambda: listener.volume() > 4 * len(data), "put and get were heard")
        before = _contents(grid)
        nodes = (CLIENT_NAME, "server-3", "server-4")
        dropped = {name: _dropped(grid, name) for name in nodes}
        listener.replay()
        for name in nodes:
            until(lambda name=name: _dropped(grid, name) > dropped[name], f"{name} has counted what was replayed")
        grid.kill(["server-3"])
        grid.restart("server-3")
        dropped_before = _dropped(grid, "server-3")
        listener.replay()
        until(lambda: _dropped(grid, "server-3") > dropped_before, "what was replayed into a new life was counted")
        assert grid.gateway.get(cap) == data
    assert _contents(grid) == before


# --- what servers do to shares -------------------------------------------------------------------------------


def _shares_of(grid: RealGrid, cap: str) -> dict[str, Path]:
    index = capability.parse(cap).storage_index
    return {name: path for name in grid.server_names for path in grid.shares(name) if decode(path.parent.name) == index}


@pytest.mark.parametrize("running", [True, False], ids=["while servers run", "while they are stopped"])
def test_shares_that_are_gone_rotten_or_another_files_do_not_hurt(running, grid):
    data = _random(3_000_000)
    cap, other = grid.gateway.put(data), grid.gateway.put(_random(3_000_000))
    shares, foreign = _shares_of(grid, cap), _shares_of(grid, other)
    names = list(shares)
    if not running:
        grid.kill(names[:7])
    for name in names[:2]:
        shares[name].unlink()
    for name in names[2:5]:
        rotten = bytearray(shares[name].read_bytes())
        for offset in range(200, len(rotten), 5000):
            rotten[offset] ^= 0x10
        shares[name].write_bytes(rotten)
    for name in names[5:7]:
        shares[name].write_bytes(foreign[name].read_bytes())
    if not running:
        grid.restart(*names[:7])
    assert grid.gateway.get(cap) == data
    assert grid.gateway.put(data) == cap


def test_with_too_few_good_shares_the_error_says_so_and_no_wrong_byte_is_sent(grid):
    data = _random(300_000)
    cap = grid.gateway.put(data)
    for path in list(_shares_of(grid, cap).values())[:8]:
        path.unlink()
    reply = grid.gateway.ask("GET", f"/uri/{cap}")
    assert reply.status == 410
    assert "2" in reply.text
    assert "3" in reply.text
    assert cap.split(":")[2] not in reply.text
