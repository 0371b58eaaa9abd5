"""How commands speak to a gateway: connections that stay, go stale or are busy, and what errors say."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from tahoe.cli.gateway import Gateway, GatewayError, UnreachableError

PROBLEM = json.dumps({"status": 404, "detail": "there is nothing", "kind": "NoSuchChild"}).encode()


class Peer:
    """A gateway that answers what it is told to, and may hang up after an answer without having said so."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[str] = []
        self.hangs_up = False
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine\n"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def close(self) -> None:
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while first := lines.readline():
                length = 0
                while (line := lines.readline().strip()) != b"":
                    length = int(line.split(b":")[1]) if line.lower().startswith(b"content-length") else length
                lines.read(length)
                self.requests.append(first.decode().split(" HTTP")[0])
                connection.sendall(self.answer)
                if self.hangs_up:
                    return


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def gateway(peer) -> Gateway:
    return Gateway(None, peer.url)


def test_one_connection_serves_many_requests(peer, gateway):
    for number in range(5):
        assert gateway.text("PUT", f"/{number}", b"contents") == "fine"
    assert peer.connections == 1


def test_a_connection_that_went_stale_is_opened_anew(peer, gateway):
    peer.hangs_up = True
    for number in range(3):
        assert gateway.text("PUT", f"/{number}", b"contents") == "fine"
    assert peer.requests == ["PUT /0", "PUT /1", "PUT /2"]
    assert peer.connections == 3


def test_an_answer_that_is_still_being_read_is_not_disturbed(peer, gateway):
    first = gateway.request("GET", "/first")
    assert gateway.text("GET", "/second") == "fine"
    assert first.read() == b"fine\n"


def test_an_answer_that_nobody_wants_to_the_end_is_not_taken_for_the_next_one(peer, gateway):
    with gateway.request("GET", "/first") as unread:
        assert unread.status == 200
    assert gateway.text("GET", "/second") == "fine"
    assert peer.connections == 2


def test_every_thread_has_a_connection_of_its_own(peer, gateway):
    threads = [threading.Thread(target=gateway.text, args=("GET", f"/{number}")) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert peer.connections == 4


def test_an_error_keeps_its_status_and_its_kind(peer, gateway):
    head = f"HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\nContent-Length: {len(PROBLEM)}\r\n\r\n"
    peer.answer = head.encode() + PROBLEM
    with pytest.raises(GatewayError) as caught:
        gateway.text("GET", "/")
    assert (caught.value.status, caught.value.kind, caught.value.message) == (404, "NoSuchChild", "there is nothing")


def test_an_error_in_plain_words_will_do(peer, gateway):
    peer.answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\nnot so,no"
    with pytest.raises(GatewayError) as caught:
        gateway.text("GET", "/")
    assert (caught.value.status, caught.value.kind, caught.value.message) == (400, "", "not so,no")


def test_a_gateway_that_is_gone_is_another_matter(peer, gateway):
    peer.hangs_up = True
    assert gateway.text("GET", "/") == "fine"
    peer.close()
    with pytest.raises(UnreachableError, match="is it running"):
        gateway.text("GET", "/")
