"""Two machines on one, worked by the command line alone: this makes two network namespaces and a wire between.

::

    first: tahoe broker run --tls, an introducer, friends  10.78.0.1 ════ 10.78.0.2  second: the grid card

``python -m tests.real.two_machines first DIR``, run in a network namespace of its own, prints "identical" when the
second machine, which was handed nothing but the card, has stored a file on the first and has got it back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real.grid import until

FIRST, SECOND = "10.78.0.1", "10.78.0.2"
FRIENDS = ("ann", "bob", "cyd")
TAHOE = (sys.executable, "-m", "tahoe.cli.main")
SIZE = 3_000_000


def ip(*words: str) -> None:
    """Configure the network."""
    subprocess.run(["ip", *words], check=True)


def tahoe(*arguments: str) -> str:
    """Run a command to its good end; what it printed."""
    done = subprocess.run([*TAHOE, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"tahoe {arguments[0]}: {done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def started(*nodes: str) -> Iterator[None]:
    """Nodes in the background."""
    try:
        for node in nodes:
            tahoe("start", node)
        yield
    finally:
        for node in reversed(nodes):
            subprocess.run([*TAHOE, "stop", node], capture_output=True, timeout=60, check=False)


@contextmanager
def broker() -> Iterator[Path]:
    """A broker for other machines; the file that says what it takes to get in."""
    command = (*TAHOE, "broker", "run", "--listen", FIRST, "--tls", "--port", "0", "--directory", "broker")
    process = subprocess.Popen([*command, "--while-stdin"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    entry = Path("broker", "broker.toml")
    try:
        until(lambda: entry.exists() or process.poll() is not None, "the broker runs")
        assert process.poll() is None, "the broker ended by itself"
        yield entry
    finally:
        process.terminate()
        process.wait(20)


def first() -> None:
    """The machine that has everything, and hands over its card."""
    ip("link", "set", "lo", "up")
    ip("link", "add", "near", "type", "veth", "peer", "name", "far")
    ip("addr", "add", f"{FIRST}/24", "dev", "near")
    ip("link", "set", "near", "up")
    with broker() as entry:
        tahoe("create-introducer", "introducer", "--broker", str(entry), "--encoding", "2/3/3")
        card = Path("introducer", "grid.toml")
        assert f"mqtts://{FIRST}:" in card.read_text()
        for friend in FRIENDS:
            options = ("--roles", "storage", "--nickname", friend, "--reserved-space", "0")
            tahoe("create-node", friend, "--grid", str(card), *options)
        with started("introducer", *FRIENDS):
            print(_visit(card.read_bytes()))  # noqa: T201  # what this program is for


def _visit(card: bytes) -> str:
    """Let the second machine do its part; what it says."""
    command = ["unshare", "--net", sys.executable, "-m", "tests.real.two_machines", "second", str(Path.cwd() / "far")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as machine:
        assert machine.stdout is not None
        machine.stdout.readline()
        ip("link", "set", "far", "netns", str(machine.pid))
        said, _ = machine.communicate(card, timeout=80)
    return said.decode().strip()


def second() -> None:
    """The machine that is handed the card."""
    print("ready", flush=True)  # noqa: T201  # tells the first machine
    card = Path("card.toml")
    card.touch(mode=0o600)
    card.write_bytes(sys.stdin.buffer.read())
    ip("link", "set", "lo", "up")
    ip("addr", "add", f"{SECOND}/24", "dev", "far")
    ip("link", "set", "far", "up")
    tahoe("create-node", "me", "--grid", str(card), "--roles", "client")
    content = os.urandom(SIZE)
    Path("file").write_bytes(content)
    with started("me"):
        until(lambda: _servers_there() == len(FRIENDS), "the second machine sees all friends")
        Path("cap").write_text(tahoe("put", "-d", "me", "file"))
        tahoe("get", "-d", "me", "@cap", "copy")
    print("identical" if Path("copy").read_bytes() == content else "different")  # noqa: T201  # tells the first machine


def _servers_there() -> int:
    done = subprocess.run([*TAHOE, "status", "me", "--json"], capture_output=True, timeout=60, check=False)
    return sum(server["online"] is True for server in json.loads(done.stdout or b"{}").get("servers", ()))


if __name__ == "__main__":
    home = Path(sys.argv[2])
    home.mkdir(exist_ok=True)
    os.chdir(home)
    {"first": first, "second": second}[sys.argv[1]]()
