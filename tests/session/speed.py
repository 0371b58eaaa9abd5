"""How quick sessions are: microseconds per ask with its answer, and megabytes per second of sealed bulk.

Run it by hand: ``python -m tests.session.speed``. An ask is measured as a simulator would run it: ask,
transmit, receive, deliver, answer, transmit, receive, done, through two endpoints, with nothing between them.
The figures are also printed as a ratio to one push and pop of a heap of a thousand, since machines differ.
"""

from __future__ import annotations

import heapq
import sys
import time
from random import Random

from tahoe.protocol import STORAGE, Address, HaveShares, SharesHeld, Space, Write, Written
from tahoe.session.settings import Settings
from tests.session.pair import Pair

SMALL = HaveShares((b"i" * 16,))
SMALL_ANSWER = SharesHeld((), Space(10**12, 10**11, 10**9))
BULK_BYTES = 350_000


def heap_microseconds(rounds: int = 300_000) -> float:
    """One push and one pop."""
    times = [Random(1).random() for _ in range(rounds)]
    heap = [0.0] * 1000
    began = time.perf_counter()
    for when in times:
        heapq.heappush(heap, when)
        heapq.heappop(heap)
    return (time.perf_counter() - began) / rounds * 1e6


def ask_microseconds(*, sealed: bool, rounds: int = 30_000) -> float:
    """One small ask with its answer, both endpoints together."""
    pair = Pair(Settings(sealed=sealed), answer=lambda _: SMALL_ANSWER)
    pair.connect()
    return _time(pair, SMALL, rounds)


def bulk_megabytes_per_second(*, sealed: bool, rounds: int = 1_000) -> float:
    """Writes of 350 kB, sealed, opened and answered."""
    pair = Pair(Settings(sealed=sealed), answer=lambda _: Written())
    pair.connect()
    request = Write(b"i" * 16, b"s" * 32, 0, 0, b"x" * BULK_BYTES)
    return BULK_BYTES / _time(pair, request, rounds)


def _time(pair: Pair, request: HaveShares | Write, rounds: int) -> float:
    to = Address(pair.right.node, STORAGE)
    done = []
    for _ in range(100):
        pair.left.endpoint.ask(0.0, to, request, 15.0, done.append)
        pair.run_untimed()
    began = time.perf_counter()
    for number in range(rounds):
        pair.left.endpoint.ask(number * 1e-4, to, request, 15.0, done.append)
        pair.run_untimed()
    seconds = time.perf_counter() - began
    assert len(done) == rounds + 100
    return seconds / rounds * 1e6


def write(line: str) -> None:
    """One line of the table."""
    sys.stdout.write(line + "\n")


def main() -> None:
    """Print the table."""
    heap = heap_microseconds()
    write(f"heap push and pop                 {heap:8.3f} us")
    for name, sealed in (("plain", False), ("sealed", True)):
        micros = min(ask_microseconds(sealed=sealed) for _ in range(3))
        write(f"{name:6} small ask and answer     {micros:8.2f} us   {micros / heap:6.1f} heap push/pops")
    for name, sealed in (("plain", False), ("sealed", True)):
        rate = max(bulk_megabytes_per_second(sealed=sealed) for _ in range(3))
        write(f"{name:6} 350 kB writes            {rate:8.0f} MB/s")


if __name__ == "__main__":
    main()
