"""Jobs: named, bounded, cancelled, and there when whoever asked for them has gone."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from tahoe.errors import NotEnoughShares
from tahoe.net.logs import NodeLog
from tahoe.web.errors import WebError
from tahoe.web.jobs import MOST_KEPT, JobBoard, State

LOG = NodeLog(logging.getLogger("jobs"))


def until_ended(drive, job: str) -> dict:
    for _ in range(1000):
        told = drive.json("GET", f"/jobs/{job}")
        if told["state"] != "running":
            return told
        time.sleep(0.01)
    raise AssertionError("the job does not end")


def test_a_tree_is_counted_behind_the_clients_back(drive):
    drive.ask("PUT", "/vdrive/private/a/b", b"contents" * 100, 201)
    job = drive.json("POST", "/vdrive/private?t=start-deep-stats", status=202)["job"]
    told = until_ended(drive, job)
    assert (told["id"], told["kind"], told["state"]) == (job, "deep-stats", "done")
    assert told["result"] == drive.json("GET", "/vdrive/private?t=deep-stats")
    assert told["progress"]["objects"] == 3
    size = drive.json("POST", "/vdrive/private?t=start-deep-size", status=202)["job"]
    until_ended(drive, size)
    assert drive.json("GET", f"/jobs/{size}?wait=true")["result"]["size"] == int(
        drive.ask("GET", "/vdrive/private?t=deep-size")
    )
    assert [each["id"] for each in drive.json("GET", "/jobs")["jobs"]] == [size, job]


def test_a_job_is_cancelled(drive):
    identity = drive.run(_endless(drive.services.jobs.start))
    assert drive.json("GET", f"/jobs/{identity}")["state"] == "running"
    assert drive.json("DELETE", f"/jobs/{identity}")["state"] == "cancelled"
    assert drive.json("DELETE", f"/jobs/{identity}")["state"] == "cancelled"
    assert drive.request("GET", "/jobs/unknown").status == 404
    assert drive.request("DELETE", "/jobs/unknown").status == 404


async def _endless(start) -> str:
    return start("endless", lambda _: asyncio.Event().wait()).identity


def run(story):
    return asyncio.run(story)


def test_errors_of_jobs_are_told_without_capabilities(caplog):
    async def story():
        board = JobBoard(LOG)

        async def fail(_):
            raise NotEnoughShares(1, 3, ("no share of URI:CHK:aaaa",))

        async def bug(_):
            raise RuntimeError("URI:CHK:aaaa")

        failed, broken = board.start("fail", fail), board.start("bug", bug)
        await failed.wait()
        await broken.wait()
        return failed.describe(), broken.describe()

    failed, broken = run(story())
    assert failed["state"] == broken["state"] == "failed"
    assert "found 1 good shares" in failed["error"]
    assert "aaaa" not in failed["error"] + broken["error"] + caplog.text


def test_who_waits_for_a_job_hears_of_its_end_at_once_and_of_a_long_one_after_a_while():
    async def story():
        board, gate = JobBoard(LOG), asyncio.Event()

        async def work(job):
            await gate.wait()
            return "done"

        job = board.start("slow", work)
        await job.wait(0.01)
        assert job.state is State.RUNNING
        waiting = asyncio.create_task(job.wait(100.0))
        await asyncio.sleep(0)
        gate.set()
        await waiting
        assert job.state is State.DONE
        await job.wait(100.0)

    asyncio.run(story())


def test_only_so_many_jobs_run_at_once():
    async def story():
        board = JobBoard(LOG, most_running=2)
        jobs = [board.start("endless", lambda _: asyncio.Event().wait()) for _ in range(2)]
        with pytest.raises(WebError) as refused:
            board.start("endless", lambda _: asyncio.Event().wait())
        await jobs[0].cancel()
        board.start("endless", lambda _: asyncio.Event().wait())
        await board.stop()
        return refused.value.status, [job.state for job in board.all()]

    assert run(story()) == (429, [State.CANCELLED] * 3)


def test_the_oldest_that_ended_are_forgotten():
    async def story():
        board = JobBoard(LOG)
        endless = board.start("endless", lambda _: asyncio.Event().wait())
        for _ in range(MOST_KEPT + 5):
            await board.start("quick", lambda _: asyncio.sleep(0)).wait()
        known = board.all()
        await board.stop()
        return endless in known, len(known)

    assert run(story()) == (True, MOST_KEPT)
