"""Where computations run."""

import asyncio
import threading
import time

import pytest

from tahoe.codec.hashing import tagged_hash
from tahoe.net.work import LITTLE, Workshop, bulk, is_little
from tahoe.protocol import BlockRead, SignedVersion, SlotBlock, SlotRead, SlotShareRead


@pytest.fixture
def workshop():
    workshop = Workshop()
    yield workshop
    workshop.close()


def where(_data=b""):
    return threading.current_thread()


async def test_little_pure_work_runs_at_once(workshop, monkeypatch):
    monkeypatch.setattr(where, "__module__", "tahoe.codec.hashing")
    assert await workshop.run(where, bytes(LITTLE)) is threading.current_thread()
    assert await workshop.run(where, bytes(LITTLE + 1)) is not threading.current_thread()


async def test_what_may_touch_a_disk_runs_in_a_thread_however_little_it_is(workshop):
    assert await workshop.run(where) is not threading.current_thread()


async def test_the_event_loop_goes_on_while_a_thread_works(workshop):
    release = threading.Event()
    waiting = asyncio.create_task(workshop.run(release.wait, 20.0))
    begun = time.monotonic()
    await asyncio.sleep(0.01)
    release.set()
    assert await waiting
    assert time.monotonic() - begun < 10


async def test_several_disk_waits_run_at_once(workshop):
    barrier = threading.Barrier(4, timeout=20.0)
    await asyncio.gather(*(workshop.run(barrier.wait) for _ in range(4)))


def test_the_codec_is_pure():
    assert is_little(tagged_hash, (b"tag", b"data"))


def test_the_bytes_of_an_argument_are_counted_wherever_they_are():
    assert bulk((b"12", [bytearray(3), memoryview(b"4444")], "text", 7, None)) == 9
    assert bulk([BlockRead(0, b"12345", (), ())]) == 5
    share = SlotShareRead(0, SignedVersion(b"", b"", b"", b""), b"", (), (SlotBlock(0, b"salt", b"123"),))
    assert bulk((SlotRead((share,)), {0: (b"salt", b"1234")})) == 3 + 8
