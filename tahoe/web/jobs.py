"""Jobs: long work that goes on when the HTTP client who asked for it has gone away.

A job is a story with a name. It tells how far it is by changing ``progress`` and ends with a result, an error, or because
somebody cancelled it; what it came to is kept for a while. ``kinds.py`` has the table of what jobs there are.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Final, TypeAlias

from tahoe.errors import TahoeError
from tahoe.net.logs import NodeLog
from tahoe.web.errors import WebError, account_of, without_capabilities

MOST_RUNNING: Final = 16

WAIT_SECONDS: Final = 1.0
"""Whoever waits for a job is told how far it is after this time at most."""

MOST_KEPT: Final = 200

Work: TypeAlias = Callable[["Job"], Awaitable[Any]]
"""Does a job's work: tells its progress on the way, returns its result (JSON-able)."""


class State(Enum):
    """What has become of a job."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job:
    """One job.

    Args:
        kind: what it does, a row of the table of kinds.

    Attributes:
        identity: names it.
        progress: how far it is, JSON-able; changed by its work as it goes on.
        result: what it came to, when it is done.
        error: why it failed, without capabilities.
        began, ended: seconds since the epoch.
        about: what it is about, for the page that started it.
    """

    def __init__(self, kind: str) -> None:
        self.identity = secrets.token_urlsafe(12)
        self.kind = kind
        self.state = State.RUNNING
        self.progress: dict[str, Any] = {}
        self.result: Any = None
        self.error: str | None = None
        self.began = time.time()
        self.ended: float | None = None
        self.about: Any = None
        self._task: asyncio.Task[None] | None = None

    def describe(self) -> dict[str, Any]:
        """Return all that is known of it, JSON-able."""
        facts = {
            "id": self.identity,
            "kind": self.kind,
            "state": self.state.value,
            "progress": dict(self.progress),
            "began": self.began,
            "ended": self.ended,
        }
        if self.state is State.DONE:
            facts["result"] = self.result
        if self.error is not None:
            facts["error"] = self.error
        return facts

    def begin(self, work: Work, log: NodeLog) -> None:
        """Start the work."""
        self._task = asyncio.create_task(self._run(work, log))

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until it has ended, or for so long at most."""
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=seconds)

    async def cancel(self) -> None:
        """Stop it, and wait until it has stopped. One that has ended stays as it is."""
        if self._task is not None and self._task.cancel():
            await self.wait()
            self._end(State.CANCELLED)  # for one that never came to begin

    async def _run(self, work: Work, log: NodeLog) -> None:
        self._end(await self._outcome(work, log))

    def _end(self, state: State) -> None:
        if self.ended is None:
            self.state = state
            self.ended = time.time()

    async def _outcome(self, work: Work, log: NodeLog) -> State:
        try:
            self.result = await work(self)
        except asyncio.CancelledError:
            return State.CANCELLED
        except TahoeError as error:
            self.error = without_capabilities(str(error) or type(error).__name__)
            return State.FAILED
        except Exception as error:  # noqa: BLE001  # a job's bug must not end the node, and somebody has to hear of it
            log.error("a job failed", kind=self.kind, **account_of(error))  # noqa: TRY400  # words of a bug may quote anything
            self.error = "the job failed; the node's logs/node.log says more"
            return State.FAILED
        return State.DONE


class JobBoard:
    """All jobs of a gateway, the newest ``MOST_KEPT`` of those that have ended included."""

    def __init__(self, log: NodeLog, most_running: int = MOST_RUNNING) -> None:
        self._log = log
        self._most_running = most_running
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def start(self, kind: str, work: Work) -> Job:
        """Start a job.

        Raises:
            WebError: 429, too many run already.
        """
        if sum(job.state is State.RUNNING for job in self._jobs.values()) >= self._most_running:
            raise WebError(
                429, f"{self._most_running} jobs are running; wait for one or cancel one", {"Retry-After": "10"}
            )
        job = Job(kind)
        self._jobs[job.identity] = job
        self._forget()
        job.begin(work, self._log)
        return job

    def get(self, identity: str) -> Job:
        """Return a job.

        Raises:
            WebError: 404, there is none of this name (any more).
        """
        job = self._jobs.get(identity)
        if job is None:
            raise WebError(404, "there is no job of this name, or it ended long ago")
        return job

    def all(self) -> list[Job]:
        """All that are known, the newest first."""
        return list(reversed(self._jobs.values()))

    async def stop(self) -> None:
        """Cancel whatever runs."""
        for job in self.all():
            await job.cancel()

    def _forget(self) -> None:
        ended = [job.identity for job in self._jobs.values() if job.state is not State.RUNNING]
        for identity in ended[: max(0, len(self._jobs) - MOST_KEPT)]:
            del self._jobs[identity]
