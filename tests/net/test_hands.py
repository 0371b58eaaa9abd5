"""Threads that are woken one by one."""

import asyncio
import threading

import pytest

from tahoe.net.hands import Hands

PATIENCE = 20.0


@pytest.fixture
def hands():
    hands = Hands(3, "hand")
    yield hands
    hands.close()


async def until(reached):
    async with asyncio.timeout(PATIENCE):
        while True:
            if reached():
                return
            await asyncio.sleep(0)


async def test_results_and_errors_come_back(hands):
    assert await hands.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await hands.run(divmod, 7, 0)


async def test_jobs_beyond_the_threads_wait_in_line_and_are_done_in_their_order(hands):
    release, done = threading.Event(), []
    blocked = [asyncio.create_task(hands.run(release.wait, PATIENCE)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(hands.run(done.append, number)) for number in range(2)]
    await asyncio.sleep(0)
    assert done == []
    release.set()
    await asyncio.gather(*blocked, *waiting)
    assert sorted(done) == [0, 1]


async def test_one_thread_does_for_jobs_that_follow_one_another(hands):
    assert len({await hands.run(threading.get_ident) for _ in range(50)}) == 1


async def test_many_jobs_at_once_are_all_done_by_no_more_threads_than_there_may_be(hands):
    threads = await asyncio.gather(*(hands.run(threading.current_thread) for _ in range(2000)))
    assert {thread.name for thread in threads} <= {"hand_0", "hand_1", "hand_2"}


async def test_a_job_that_nobody_waits_for_any_more_is_not_begun(hands):
    release, done = threading.Event(), []
    blocked = [asyncio.create_task(hands.run(release.wait, PATIENCE)) for _ in range(3)]
    await asyncio.sleep(0)
    unwanted = asyncio.create_task(hands.run(done.append, 1))
    await asyncio.sleep(0)
    unwanted.cancel()
    with pytest.raises(asyncio.CancelledError):
        await unwanted
    release.set()
    await asyncio.gather(*blocked)
    await hands.run(done.append, 2)
    assert done == [2]


async def test_closing_waits_for_what_runs_and_takes_nothing_more(hands):
    begun, release = threading.Event(), threading.Event()

    def work():
        begun.set()
        release.wait(PATIENCE)
        return "done"

    working = asyncio.create_task(hands.run(work))
    await hands.run(begun.wait, PATIENCE)
    closing = asyncio.create_task(asyncio.to_thread(hands.close))
    await until(lambda: hands._is_closed)
    with pytest.raises(RuntimeError):
        await hands.run(len, "")
    assert not closing.done()
    release.set()
    await closing
    assert await working == "done"


async def test_a_loop_that_ends_before_its_job_disturbs_nobody(hands):
    begun, release = threading.Event(), threading.Event()

    def work():
        begun.set()
        release.wait(PATIENCE)

    async def leave():
        leaving = asyncio.create_task(hands.run(work))
        await until(begun.is_set)
        leaving.cancel()

    await asyncio.to_thread(asyncio.run, leave())
    release.set()
    assert await hands.run(len, "abc") == 3
