"""Names that anybody may have chosen: harmless on a terminal, and never a way out of a directory."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.cli.names import grid_name, local_name, same_file_key, shown

ANY_NAME = st.text(st.characters(), max_size=60)


@given(ANY_NAME)
def test_what_is_shown_only_prints(name):
    assert shown(name).isprintable()


@given(ANY_NAME, ANY_NAME)
def test_different_names_look_different(one, other):
    assert one == other or shown(one) != shown(other)


@pytest.mark.parametrize("name", ["letter", "two words", "Übergröße", "日本", "a\\b", "it's"])
def test_harmless_names_are_shown_as_they_are(name):
    assert shown(name) == name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("\x1b[2Jgone", '"\\u001b[2Jgone"'),
        ("exe.\u202egpj", '"exe.\\u202egpj"'),
        ("a\nb\tc", '"a\\nb\\tc"'),
        ('"a"', '"\\"a\\""'),
        (" a", '" a"'),
        ("a ", '"a "'),
        ("", '""'),
        ("\U000e0001", '"\\U000e0001"'),
    ],
)
def test_what_could_deceive_is_escaped_in_quotes(name, text):
    assert shown(name) == text


def test_the_middle_of_a_very_long_name_is_left_out():
    assert len(shown("x" * 4096)) < 300
    assert "more" in shown("x" * 4096)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "../x", "a\0b", "\ud800"])
def test_what_is_no_file_name_becomes_no_file(name):
    with pytest.raises(click.ClickException, match="can't be the name of a file"):
        local_name(name)


@given(ANY_NAME)
def test_a_local_name_is_a_single_step_down(name):
    try:
        accepted = local_name(name)
    except click.ClickException:
        return
    assert accepted == name
    assert "/" not in accepted
    assert accepted not in {"", ".", ".."}


def test_names_in_the_grid_are_normal_and_utf_8():
    assert grid_name("u\u0308") == "ü"
    with pytest.raises(click.ClickException, match="UTF-8"):
        grid_name("\udcff")
    assert same_file_key("u\u0308") == same_file_key("ü")
