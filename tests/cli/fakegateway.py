"""Stands in for a node with a gateway: files and directories in memory, every request noted, and ways to fail."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tahoe.codec.capability import Capability, Directory, ImmutableRead, Literal, SlotRead, SlotWrite, parse
from tahoe.codec.directory import unpack_immutable
from tahoe.codec.file import make_literal

TOKEN = "token-of-the-fake"


class FailureError(Exception):
    """An error to answer: status, kind, text."""


@dataclass(frozen=True)
class Asked:
    """One request: what it is about, without capabilities, and how many bytes came with it."""

    what: str
    size: int


@dataclass
class Memory:
    """What the grid holds."""

    files: dict[str, bytes] = field(default_factory=dict)
    directories: dict[str, dict[str, Any]] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    encoding: tuple[int, int, int] = (3, 7, 10)
    made: int = 0

    def store(self, data: bytes, encoding: str) -> str:
        if len(data) <= 55:
            return str(make_literal(data))
        needed, _, total = encoding.split("/")
        key = hashlib.sha256(f"{needed}/{total}".encode() + data).digest()[:16]
        cap = str(ImmutableRead(key, hashlib.sha256(data).digest(), int(needed), int(total), len(data)))
        self.files[cap] = data
        return cap

    def mkdir(self) -> str:
        self.made += 1
        cap = Directory(SlotWrite(hashlib.sha256(b"%d" % self.made).digest()))
        self.directories[str(cap.read_only())] = {}
        return str(cap)

    def root(self, name: str) -> str:
        if name not in self.roots:
            self.roots[name] = self.mkdir()
        return self.roots[name]

    def read(self, cap: Capability) -> bytes:
        if isinstance(cap, Literal):
            return cap.data
        if str(cap) not in self.files:
            raise FailureError(410, "NotEnoughShares", "too few shares")
        return self.files[str(cap)]

    def children(self, cap: Capability) -> dict[str, Any]:
        if not isinstance(cap, Directory):
            raise FailureError(400, "NotADirectory", "this is no directory")
        if isinstance(cap.file, (SlotRead, SlotWrite)):
            return self.directories[str(cap.read_only())]
        table = unpack_immutable(self.read(cap.file))
        return {
            name: [_kind(child.read), {**_facts(parse(child.read)), "metadata": child.metadata}]
            for name, child in table.items()
        }

    def link(self, cap: Capability, new: dict[str, Any], *, replace: bool) -> None:
        children = self.children(cap)
        if not replace and set(new) & set(children):
            raise FailureError(409, "ChildExists", "there is a child of this name")
        children.update(new)

    def describe(self, cap: Capability, link: dict[str, Any]) -> list[Any]:
        facts = {**_facts(cap), **({"metadata": link["metadata"]} if link else {})}
        if isinstance(cap, Directory):
            return ["dirnode", {**facts, "children": self.children(cap)}]
        return ["filenode", facts]

    def find(self, start: str, names: list[str], *, make: bool = False) -> Capability:
        cap = parse(start)
        for name in names:
            children = self.children(cap)
            if name not in children and make:
                made = self.mkdir()
                children[name] = ["dirnode", {"rw_uri": made, "ro_uri": str(parse(made).read_only()), "metadata": {}}]
            if name not in children:
                raise FailureError(404, "NoSuchChild", f"there is no child named {name!r}")
            facts = children[name][1]
            cap = parse(facts.get("rw_uri") or facts["ro_uri"])
        return cap


def _kind(cap: str) -> str:
    return "dirnode" if cap.startswith("URI:DIR") else "filenode" if cap.startswith("URI:") else "unknown"


def _facts(cap: Capability) -> dict[str, Any]:
    verifier = cap.verifier()
    facts: dict[str, Any] = {"ro_uri": str(cap.read_only()), "verify_uri": None if verifier is None else str(verifier)}
    if cap.writeable:
        facts["rw_uri"] = str(cap)
    if isinstance(cap, (ImmutableRead, Literal)):
        facts["size"] = cap.size if isinstance(cap, ImmutableRead) else len(cap.data)
    return facts


class FakeGateway:
    """Runs in threads as long as the context lasts.

    Attributes:
        asked: all requests so far.
        before: called with the number of a request before it is carried out.
        after: likewise, when it has been carried out and before it is answered.
    """

    def __init__(self, node: Path) -> None:
        self.memory = Memory()
        self.asked: list[Asked] = []
        self.before: Callable[[int], None] = lambda _number: None
        self.after: Callable[[int], None] = lambda _number: None
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"gateway": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        (node / "private").mkdir(parents=True)
        (node / "tahoe.toml").write_text("")
        (node / "node.url").write_text(self.url)
        (node / "private" / "api_token").write_text(TOKEN)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        with self.lock:
            number = len(self.asked)
            shown = "/".join("CAP" if part.startswith("URI:") else part for part in parts)
            self.asked.append(Asked(f"{method} {shown} {query.get('t', '')}".strip(), len(body)))
            self.before(number)
            try:
                found = self._do(method, parts, query, body)
            except FailureError as error:
                status, kind, text = error.args
                return status, json.dumps({"kind": kind, "detail": text}).encode()
            self.after(number)
        return 200, found if isinstance(found, bytes) else found.encode()

    def _do(self, method: str, parts: list[str], query: dict[str, str], body: bytes) -> bytes | str:
        memory, action = self.memory, query.get("t")
        if parts == ["status"]:
            return json.dumps({"grid": {"encoding": memory.encoding}, "brokers": [], "servers": []})
        if parts == ["uri"]:
            return memory.mkdir() if action == "mkdir" else memory.store(body, query["encoding"])
        start = memory.root(parts[1]) if parts[0] == "vdrive" else parts[1]
        cap = memory.find(start, parts[2:], make=action == "mkdir")
        if action == "set_children":
            memory.link(cap, json.loads(body), replace=query["replace"] == "true")
            return ""
        if action == "json":
            link = memory.children(memory.find(start, parts[2:-1]))[parts[-1]][1] if parts[2:] else {}
            return json.dumps(memory.describe(cap, link))
        return str(cap) if action == "mkdir" else memory.read(cap)


class _Handler(BaseHTTPRequestHandler):
    gateway: FakeGateway
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        assert self.headers["Authorization"] == f"Bearer {TOKEN}"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, text = self.gateway.answer(self.command, self.path, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Content-Type", "application/octet-stream" if status < 400 else "application/problem+json")
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = _serve  # noqa: N815  # the base's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        pass
