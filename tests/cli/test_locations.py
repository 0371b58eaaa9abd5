"""How people name things in the grid: aliases, roots, capabilities, and what belongs to this machine."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.cli.aliases import Aliases
from tahoe.cli.locations import Locations, is_in_grid
from tahoe.errors import BadConfiguration
from tahoe.web.places import parse_place, place_of

DIRECTORY = "URI:DIR3:" + "a" * 52


@pytest.fixture
def node(tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "tahoe.toml").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("global:a/b", "/vdrive/global/a/b", "global:a/b"),
        ("global:", "/vdrive/global", "global:"),
        ("a/b", "/vdrive/private/a/b", "private:a/b"),
        (":a//b/", "/vdrive/private/a/b", "private:a/b"),
        ("mine:a/b", f"/uri/{DIRECTORY}/a/b", "mine:a/b"),
        (DIRECTORY, f"/uri/{DIRECTORY}", "URI:..."),
        (f"{DIRECTORY}/a:b", f"/uri/{DIRECTORY}/a%3Ab", "URI:.../a:b"),
        ("global:50% of ü?", "/vdrive/global/50%25%20of%20%C3%BC%3F", "global:50% of ü?"),
        ("global:../..", "/vdrive/global/../..", "global:../.."),
    ],
)
def test_a_word_names_a_place_and_a_message_gives_no_capability_away(node, text, url, shown):
    Aliases(node).add("mine", DIRECTORY)
    location = Locations(node).find(text)
    assert location.url == url
    assert str(location) == shown


def test_the_default_root_is_what_the_configuration_says(node):
    (node / "tahoe.toml").write_text('[client]\ndefault_root = "mine"\n')
    Aliases(node).add("mine", DIRECTORY)
    assert Locations(node).find("a").url == f"/uri/{DIRECTORY}/a"


@pytest.mark.parametrize("text", ["global:a", "global:", ":a", f"{DIRECTORY}/a", "URI:LIT:", "ro.URI:NEW:x", "a:b/c"])
def test_what_has_a_colon_before_its_first_slash_is_in_the_grid(text):
    assert is_in_grid(text)


@pytest.mark.parametrize("text", ["a", "a/b", "./a:b", "/a:b", "..", "a/b:c"])
def test_all_else_is_on_this_machine(text):
    assert not is_in_grid(text)


def test_aliases_are_for_their_owners_eyes(node):
    Aliases(node).add("mine", DIRECTORY)
    assert stat.S_IMODE((node / "private" / "aliases").stat().st_mode) == 0o600
    (node / "private" / "aliases").chmod(0o644)
    with pytest.raises(BadConfiguration, match="chmod 600"):
        Aliases(node).load()


def test_a_removed_alias_leaves_the_others_and_what_people_noted(node):
    aliases = Aliases(node)
    for name in ("one", "two", "three"):
        aliases.add(name, DIRECTORY)
    with aliases.path.open("a") as file:
        file.write("# a note\n")
    assert aliases.remove("two") == DIRECTORY
    assert list(aliases.load()) == ["one", "three"]
    assert "# a note" in aliases.path.read_text()
    assert stat.S_IMODE(aliases.path.stat().st_mode) == 0o600
    with pytest.raises(BadConfiguration, match="list-aliases"):
        aliases.remove("two")


def test_an_alias_after_a_torn_line_is_a_line_of_its_own(node):
    aliases = Aliases(node)
    aliases.add("one", DIRECTORY)
    with aliases.path.open("a") as file:
        file.write("# torn")
    aliases.add("two", DIRECTORY)
    assert list(aliases.load()) == ["one", "two"]


def test_a_line_without_sense_is_named_and_not_shown(node):
    (node / "private" / "aliases").touch(0o600)
    (node / "private" / "aliases").write_text("one: URI:x\nsecret\n")
    with pytest.raises(BadConfiguration, match="line 2") as caught:
        Aliases(node).load()
    assert "secret" not in str(caught.value)


@given(st.lists(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1), max_size=5))
def test_every_name_reaches_the_gateway_as_it_is(names):
    location = Locations(Path("/nowhere")).find("global:" + "/".join(names))
    assert location.names == tuple(names)
    raw = location.request(t="json").encode("ascii")
    place = place_of({"raw_path": raw, "path": raw.decode()})
    assert (place.start, place.path) == ("global", tuple(names))
    assert parse_place(location.plain) == place
