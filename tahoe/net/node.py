"""A node in its directory: read, started, stopped. Several may run in one process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

from tahoe.errors import BadConfiguration
from tahoe.net.card import GridCard
from tahoe.net.config import NodeConfig
from tahoe.net.crew import Papers, Recipe
from tahoe.net.directory import NodeDirectory
from tahoe.net.incarnation import Incarnation
from tahoe.net.keys import replace_file
from tahoe.net.logs import NodeLog, open_log

EPOCH_FILE: Final = "epoch"


class Companion(Protocol):
    """Something that lives and ends with a node: the gateway of a client."""

    async def stop(self) -> None:
        """End it."""


Company = Callable[[Incarnation], Awaitable[Companion | None]]
"""Called when a node's actors have started; None where the node has no use for it."""


class Node:
    """One node directory, brought to life.

    Args:
        path: of the directory.
        recipe: for its actors (``roles.build_crew``).
        company: what else to start, in this order.
    """

    def __init__(self, path: Path, recipe: Recipe, company: tuple[Company, ...] = ()) -> None:
        self.directory = NodeDirectory(path)
        self._recipe = recipe
        self._company = company
        self._companions: list[Companion] = []
        self._running: Incarnation | None = None
        self._log: NodeLog | None = None

    @property
    def running(self) -> Incarnation:
        """The present incarnation."""
        assert self._running is not None, f"the node in {self.directory.path} does not run"
        return self._running

    async def start(self, *, terminal: bool = False) -> None:
        """Read the directory and start everything. Does not wait for a broker.

        Args:
            terminal: write the log to standard error as well.

        Raises:
            BadConfiguration: something in the directory can't be used; says what and where.
        """
        assert self._running is None, f"the node in {self.directory.path} runs already"
        papers = await asyncio.to_thread(read_papers, self.directory)
        self._log = _open_log(papers, terminal=terminal)
        try:
            self._running = Incarnation(papers, self._recipe, self._log)
            await self._running.start()
            for start in self._company:
                companion = await start(self._running)
                if companion is not None:
                    self._companions.append(companion)
        except BaseException:
            await self.stop()
            raise
        self._log.info(
            "started", node=papers.identity.node, epoch=papers.epoch, roles=",".join(papers.config.node.roles)
        )

    async def stop(self) -> None:
        """Stop everything that was started, last things first."""
        while self._companions:
            await self._companions.pop().stop()
        running, self._running = self._running, None
        if running is not None:
            await running.stop()
        log, self._log = self._log, None
        if log is not None:
            log.info("stopped")
            log.close()


def read_papers(directory: NodeDirectory) -> Papers:
    """Read and check a node directory, and begin a new epoch in it.

    Raises:
        BadConfiguration: something can't be used.
    """
    directory.check()
    return Papers(
        directory=directory,
        identity=directory.load_identity(),
        card=GridCard.load(directory.card),
        config=NodeConfig.load(directory.config),
        epoch=begin_epoch(directory),
    )


def begin_epoch(directory: NodeDirectory) -> int:
    """A boot number greater than all before, durable before anybody hears of it.

    It is the time where clocks are right, so that a node that lost its disk still counts as newer.

    Raises:
        BadConfiguration: the one on disk is damaged.
    """
    path = directory.state / EPOCH_FILE
    try:
        stored = int(path.read_text()) if path.exists() else 0
    except ValueError as error:
        raise BadConfiguration(f"{path}: holds no number; remove the file if this machine's clock is right") from error
    epoch = max(stored + 1, int(time.time()))
    replace_file(path, f"{epoch}\n".encode())
    return epoch


def _open_log(papers: Papers, *, terminal: bool) -> NodeLog:
    options = papers.config.log
    name = papers.config.node.nickname or papers.directory.path.name
    return open_log(name, papers.directory.log, options.level, as_json=options.json, terminal=terminal)
