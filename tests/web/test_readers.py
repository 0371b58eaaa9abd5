"""A hundred slow readers at once: they share one budget of memory, and a small request does not wait for them."""

from __future__ import annotations

import json
import statistics
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from tahoe.web.serve import SEND_BUFFER
from tests.web.test_files import HUGE

READERS = 100
LARGE = 24_000_000
SEGMENT = 1 << 20
SMALL = b"small " * 100


@pytest.fixture
def readers(drive):
    """That many connections on which a large file comes, each read a little at a time."""
    cap = drive.ask("PUT", "/uri?convergence=none", bytes(LARGE), 201)
    with ExitStack() as stack:
        connections = [stack.enter_context(drive.connect()) for _ in range(READERS)]
        for connection in connections:
            connection.sendall(f"GET /uri/{cap} HTTP/1.0\r\n\r\n".encode())
        for connection in connections:
            assert connection.recv(12) == b"HTTP/1.1 200"
        over = threading.Event()

        def read() -> None:
            while not over.wait(0.02):
                for connection in connections:
                    with suppress(ConnectionResetError):
                        connection.recv(2000)

        reader = threading.Thread(target=read)
        reader.start()
        yield connections
        over.set()
        reader.join(10)


def seconds_of(drive, path: str, times: int) -> float:
    """The median time of a request."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        assert drive.request("GET", path).body == SMALL
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def test_slow_readers_share_one_budget_and_a_small_request_does_not_wait_for_them(drive, request):
    small = f"/uri/{drive.ask('PUT', '/uri', SMALL, 201)}"
    request.getfixturevalue("readers")
    budget = drive.client.terms.room.budget
    # The readers are busy for minutes. How many milliseconds it takes, `make gateway` measures where nothing else runs.
    assert seconds_of(drive, small, 20) < 3
    assert budget.sharers == READERS
    # Each of them may hold one segment whatever it is, beyond that only its part of the budget.
    assert budget.held <= budget.total + READERS * SEGMENT


def test_readers_who_go_away_give_their_memory_back(drive, readers):
    for connection in readers:
        connection.shutdown(2)
    end = time.monotonic() + 60
    while drive.client.terms.room.budget.sharers and time.monotonic() < end:
        drive.request("GET", "/")
    assert drive.client.terms.room.budget.held == 0


def test_little_is_fetched_for_a_reader_who_takes_nothing(gateway):
    with gateway.connect() as connection:
        connection.sendall(f"GET /uri/{HUGE} HTTP/1.0\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        for _ in range(50):
            (told,) = json.loads(gateway.request("GET", "/transfers").body)["transfers"]
            assert told["moved"] < 4 * SEND_BUFFER  # the system counts its own overhead, too
