"""What a running node tells of itself, and to whom."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

from tahoe.cli.report import REPORT_FILE, ask_for_report
from tahoe.cli.reporter import Reporter

REPORT = {"node": {"nickname": "eve"}, "servers": []}


async def report():
    return REPORT


def with_reporter(directory: Path, then):
    (directory / "private").mkdir(exist_ok=True)

    async def story():
        reporter = await Reporter.start(directory, report)
        try:
            return await asyncio.to_thread(then, directory)
        finally:
            await reporter.stop()

    return asyncio.run(story())


def test_a_node_tells_who_may_read_its_secrets(tmp_path):
    assert with_reporter(tmp_path, ask_for_report) == REPORT


def test_it_tells_nobody_else(tmp_path):
    def with_a_wrong_password(directory: Path):
        file = directory / REPORT_FILE
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        port, password = file.read_text().split()
        file.write_text(f"{port} {password[::-1]}")
        return ask_for_report(directory)

    assert with_reporter(tmp_path, with_a_wrong_password) is None


def test_an_endless_password_is_not_read(tmp_path):
    def endless(directory: Path):
        file = directory / REPORT_FILE
        file.write_text(f"{file.read_text().split()[0]} {'x' * 1_000_000}")
        return ask_for_report(directory)

    assert with_reporter(tmp_path, endless) is None


def test_nobody_answers_for_a_node_that_has_stopped(tmp_path):
    with_reporter(tmp_path, lambda _directory: None)
    assert ask_for_report(tmp_path) is None
    (tmp_path / REPORT_FILE).write_text("9 password")
    assert ask_for_report(tmp_path) is None
