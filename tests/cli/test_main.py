"""What holds for all commands: help, exit status, quick starts."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from tahoe import __version__
from tahoe.cli.main import COMMANDS
from tahoe.cli.main import tahoe as group
from tahoe.codec.erasure import engine_name

ROOT = Path(__file__).parents[2]
HEAVY = {"asyncio", "aiomqtt", "amqtt", "cryptography", "msgspec", "rich", "starlette", "uvicorn", "zfec"}


def test_version_says_what_computes_erasure_codes(tahoe):
    outcome = tahoe("--version")
    assert __version__ in outcome.text
    assert engine_name() in outcome.text


def test_help_shows_every_command(tahoe):
    text = tahoe("--help").text
    for name, entry in COMMANDS.items():
        assert name in text
        assert entry.summary in " ".join(text.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.help
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter


def test_an_unknown_command_is_a_usage_error(tahoe):
    outcome = tahoe("fetch")
    assert outcome.status == 2
    assert "No such command" in outcome.err


@pytest.mark.parametrize("arguments", [["--help"], ["put", "--help"], ["get", "--help"], ["status", "--help"]])
def test_what_scripts_call_imports_nothing_heavy(arguments):
    probe = f"import sys; sys.argv = ['tahoe', *{arguments!r}]\nfrom tahoe.cli.main import main\n"
    probe += "try: main()\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, check=True)
    assert HEAVY.isdisjoint(done.stderr.split())


def seconds(*arguments: str) -> float:
    """The quickest of a few runs."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, cwd=ROOT, check=True)
        times.append(time.perf_counter() - began)
    return min(times)


def test_starting_up_costs_little_more_than_the_interpreter():
    bare = seconds("-c", "import inspect, typing, datetime, http.client")
    assert seconds("-m", "tahoe.cli.main", "--help") < 2.5 * bare
