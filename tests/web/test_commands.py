"""``tahoe put`` and ``tahoe get``, in processes of their own, through a gateway."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tahoe.errors import NotEnoughServers, NotEnoughShares

ROOT = Path(__file__).parents[2]
CONTENT = random.Random(1).randbytes(3_000_000)


@pytest.fixture
def tahoe(gateway):
    private = gateway.directory / "private"
    private.mkdir()
    (private / "api_token").write_text("a-token-for-tests\n")
    (gateway.directory / "tahoe.toml").touch()

    def call(*arguments: object, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [sys.executable, "-m", "tahoe.cli.main", *map(str, arguments)],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TAHOE_NODE": str(gateway.directory)},
            timeout=60,
            check=False,
        )
        assert b"Traceback" not in done.stderr, done.stderr
        return done

    return call


def test_put_prints_the_capability_and_get_brings_the_file_back(tahoe, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    put = tahoe("put", tmp_path / "file")
    assert put.returncode == 0, put.stderr
    cap = put.stdout.decode()
    assert cap.startswith("URI:CHK:")
    assert tahoe("get", cap.strip()).stdout == CONTENT
    assert tahoe("get", cap.strip(), tmp_path / "back").returncode == 0
    assert (tmp_path / "back").read_bytes() == CONTENT


def test_put_takes_a_pipe_and_get_takes_a_capability_that_ps_does_not_show(tahoe, tmp_path):
    cap = tahoe("put", given=CONTENT).stdout
    assert tahoe("get", "-", given=cap).stdout == CONTENT
    (tmp_path / "cap").write_bytes(cap)
    assert tahoe("get", f"@{tmp_path / 'cap'}").stdout == CONTENT


def test_convergence_none_makes_equal_files_differ(tahoe):
    assert tahoe("put", given=CONTENT).stdout == tahoe("put", given=CONTENT).stdout
    apart = {tahoe("put", "--convergence", "none", given=CONTENT).stdout for _ in range(2)}
    assert len(apart) == 2


def test_a_file_that_breaks_off_leaves_the_old_one_as_it_was(tahoe, gateway, tmp_path):
    cap = tahoe("put", given=CONTENT).stdout.strip()
    (tmp_path / "back").write_bytes(b"old")
    before = sorted(tmp_path.iterdir())
    gateway.client.failure, gateway.client.fails_after = NotEnoughShares(1, 3), 1 << 20
    get = tahoe("get", cap.decode(), tmp_path / "back")
    assert get.returncode == 1
    assert b"broke off" in get.stderr
    assert (tmp_path / "back").read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == before


def test_get_writes_to_what_is_no_file(tahoe):
    cap = tahoe("put", given=b"short").stdout.strip().decode()
    assert tahoe("get", cap, os.devnull).returncode == 0
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_what_the_gateway_says_is_the_error(tahoe, gateway):
    gateway.client.failure = NotEnoughServers(2, 7, "two servers are there")
    put = tahoe("put", given=CONTENT)
    assert put.returncode == 1
    assert put.stderr.startswith(b"tahoe: ")
    assert b"two servers are there" in put.stderr


def test_a_wrong_token_names_the_remedy(tahoe, gateway, tmp_path):
    (tmp_path / "wrong").write_text("wrong")
    put = tahoe("put", "--token-file", tmp_path / "wrong", given=CONTENT)
    assert put.returncode == 1
    assert b"--token-file" in put.stderr


def test_an_address_is_enough_for_reading(tahoe, gateway):
    cap = tahoe("put", given=CONTENT).stdout.strip().decode()
    get = tahoe("get", "--node-url", gateway.server.url, cap)
    assert get.stdout == CONTENT


def test_a_string_that_is_no_capability_is_not_repeated(tahoe):
    for wrong in ("URI:CHK:secret-but-wrong", "URI:secret words"):
        get = tahoe("get", wrong)
        assert get.returncode == 1
        assert b"secret" not in get.stderr


def test_no_gateway_says_how_to_start_one(tahoe, gateway, tmp_path):
    get = tahoe("get", "-d", tmp_path / "nowhere", "URI:LIT:")
    assert get.returncode == 1
    assert b"tahoe create-node" in get.stderr
    (gateway.directory / "node.url").write_text("http://127.0.0.1:9/")
    get = tahoe("get", "URI:LIT:")
    assert get.returncode == 1
    assert b"tahoe start" in get.stderr


def test_webopen_lets_one_browser_in(tahoe, gateway):
    opened = tahoe("webopen", "--print")
    assert opened.returncode == 0, opened.stderr
    address, slash, path = opened.stdout.decode().strip().removeprefix("http://").partition("/")
    assert address.endswith(f".localhost:{gateway.port}")
    entered = gateway.request("GET", slash + path, token=None, Host=address)
    assert (entered.status, entered.headers["location"]) == (303, "/")
    assert gateway.request("GET", slash + path, token=None, Host=address).status == 403
