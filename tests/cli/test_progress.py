"""Progress: on terminals, for what takes a while, and nowhere else."""

from __future__ import annotations

import sys

import pytest

from tests.cli.shell import Shell

BIG = bytes(5_000_000)


class Terminal:
    """Says that it is one, and keeps what is written to it."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


@pytest.fixture
def terminal(shell, monkeypatch) -> Terminal:
    """Standard error of the shell's commands."""
    made = Terminal()

    def redirect(_stream):
        monkeypatch.setattr(sys, "stderr", made)
        return _Nothing()

    monkeypatch.setattr("tests.cli.shell.redirect_stderr", redirect)
    monkeypatch.setenv("TERM", "xterm")
    return made


class _Nothing:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_error: object) -> None:
        pass


@pytest.mark.parametrize("command", [("put", "big", "big"), ("cp", "big", ":big"), ("cp", "-r", "folder", ":folder")])
def test_a_terminal_shows_how_far_it_has_come(shell: Shell, terminal, command):
    shell.file("big", BIG)
    shell.file("folder/big", BIG)
    shell.ok(*command)
    assert "MB" in terminal.text


def test_a_terminal_shows_how_many_things_were_counted(shell: Shell, terminal):
    shell.file("folder/file")
    shell.ok("cp", "-r", "folder", ":folder")
    shell.ok("stats")
    assert "objects" in terminal.text


def test_a_pipe_gets_no_progress(shell: Shell):
    shell.file("big", BIG)
    assert shell("cp", "big", ":big").err == ""
