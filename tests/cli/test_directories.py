"""Commands that list and change directories: ls, mkdir, rm, ln, mv, manifest, stats, and aliases."""

from __future__ import annotations

import json

import pytest

from tahoe.actors.directories import Directories
from tahoe.errors import Indefinite
from tests.cli.shell import Shell

LETTER = b"a letter that is too long for a capability, which is why it goes to the servers of the grid"


@pytest.fixture
def letters(shell) -> Shell:
    """A user with a few things in his private root."""
    shell.ok("put", "-", "letters/eve", given=LETTER)
    shell.ok("put", "-", "letters/old/adam", given=LETTER * 2)
    shell.ok("put", "--mutable", "-", "notes", given=b"first")
    return shell


# --- ls ----------------------------------------------------------------------------------------------------


def test_a_list_is_sorted_and_says_what_is_what(letters):
    assert letters.ok("ls").split("\n") == ["letters", "notes"]
    assert letters.ok("ls", "-F", "letters").split("\n") == ["eve", "old/"]
    assert letters.ok("ls", "letters/eve") == "eve"


def test_a_long_list_has_rights_sizes_and_times(letters):
    eve, old = letters.ok("ls", "-l", "private:letters").split("\n")
    assert eve.split()[:2] == ["-r-", str(len(LETTER))]
    assert old.split()[:2] == ["drw", "-"]
    assert letters.ok("ls", "-lh", "letters/eve").split()[1:3] == [str(len(LETTER)), "bytes"]


def test_capabilities_are_listed_when_asked_for(letters):
    assert letters.ok("ls", "--uri", "letters").split("\n")[1].startswith("URI:DIR3:")
    assert letters.ok("ls", "--readonly-uri", "letters").split("\n")[1].startswith("URI:DIR3-RO:")
    assert "URI:" not in letters.ok("ls", "-l", "letters")


def test_a_directory_shows_itself_when_asked_and_the_line_can_be_handed_on(letters):
    line = letters.ok("ls", "--itself", "--readonly-uri", "letters")
    assert line.startswith("URI:DIR3-RO:")
    assert line.endswith(" letters")
    letters.file("for-eve", line.encode() + b"\n")
    letters.ok("add-alias", "shared", "@for-eve")
    assert letters.ok("ls", "shared:").split("\n") == ["eve", "old"]
    assert "reads" in letters.fails("put", "-", "shared:new", given=b"x")


def test_programs_get_json(letters):
    kind, facts = json.loads(letters.ok("ls", "--json", "letters"))
    assert kind == "dirnode"
    assert facts["children"]["eve"][1]["size"] == len(LETTER)


def test_names_of_an_enemy_are_shown_harmlessly(letters):
    letters.ok("put", "-", "letters/\x1b[31mred", given=b"x")
    assert '"\\u001b[31mred"' in letters.ok("ls", "letters").split("\n")
    assert "\x1b" not in letters.ok("manifest", "letters")
    assert "\x1b" not in letters.fails("ls", "letters/\x1b[31mnone")


def test_what_is_not_there_is_a_failure_that_names_it(letters):
    assert "private:letters/none" in letters.fails("ls", "letters/none")
    assert "tahoe list-aliases" in letters.fails("ls", "nobody:letters")
    assert "no directory" in letters.fails("ls", "letters/eve/")


# --- mkdir, rm, ln -----------------------------------------------------------------------------------------


def test_a_directory_is_made_with_its_parents_and_a_second_time_stays(shell):
    cap = shell.ok("mkdir", "a/b/c")
    shell.ok("put", "-", "a/b/c/file", given=b"x")
    assert shell.ok("mkdir", "a/b/c") == cap
    assert shell.ok("ls", "a/b/c") == "file"


def test_a_directory_that_nothing_leads_to_is_found_by_its_capability(shell):
    cap = shell.ok("mkdir")
    shell.ok("put", "-", f"{cap}/file", given=b"x")
    assert shell.ok("ls", cap) == "file"


def test_a_file_is_removed_and_a_directory_only_with_r(letters):
    letters.ok("rm", "letters/eve", "notes")
    assert "rm -r" in letters.fails("rm", "letters")
    assert letters.ok("ls", "-F") == "letters/"
    letters.ok("unlink", "-r", "letters")
    assert letters.ok("ls") == ""


def test_removing_goes_on_after_a_failure(letters):
    assert "none" in letters.fails("rm", "none", "notes")
    assert letters.ok("ls") == "letters"
    letters.ok("rm", "-f", "none")
    assert letters.fails("rm", "private:", status=2)


def test_a_link_is_a_second_name(letters):
    letters.ok("ln", "letters", "post")
    letters.ok("put", "-", "post/new", given=b"x")
    assert "new" in letters.ok("ls", "letters").split("\n")
    letters.ok("ln", "notes", "letters")
    letters.ok("put", "-", "notes", given=b"second")
    assert letters("get", "letters/notes").out == b"second"


def test_a_link_replaces_a_file_only_if_told_to_and_never_a_directory(letters):
    assert "remove it first" in letters.fails("ln", "notes", "letters/eve")
    letters.ok("ln", "-f", "notes", "letters/eve")
    letters.ok("ln", "notes", "letters/old")
    assert letters.ok("ls", "letters/old").split("\n") == ["adam", "notes"]


def test_a_read_only_link_lets_others_look_and_nothing_more(letters):
    shared = letters.ok("mkdir")
    letters.ok("ln", "--read-only", "letters", f"{shared}/post")
    assert letters("get", f"{shared}/post/old/adam").out == LETTER * 2
    assert "reads" in letters.fails("put", "-", f"{shared}/post/old/adam", given=b"x")
    assert "reads" in letters.fails("rm", f"{shared}/post/eve")


# --- mv within the grid ------------------------------------------------------------------------------------


def test_a_file_gets_another_name_or_another_directory(letters):
    letters.ok("mv", "private:letters/eve", "private:letters/ada")
    letters.ok("mv", "private:letters/ada", "private:letters/old")
    letters.ok("mv", "private:notes", "private:letters/old/")
    assert letters.ok("ls", "letters/old").split("\n") == ["ada", "adam", "notes"]
    assert letters.ok("ls", "letters") == "old"


def test_several_things_are_moved_into_a_directory(letters):
    assert "no directory" in letters.fails("mv", ":notes", ":letters/eve", ":nowhere")
    letters.ok("mv", ":notes", ":letters/eve", ":letters/old")
    assert letters.ok("ls", "letters/old").split("\n") == ["adam", "eve", "notes"]


def test_a_directory_never_takes_the_place_of_a_file(letters):
    assert "is a file" in letters.fails("mv", ":letters/old", ":letters/eve")
    assert letters.ok("ls", "letters").split("\n") == ["eve", "old"]
    assert letters("get", "letters/eve").out == LETTER


def test_a_directory_is_never_moved_into_itself(letters):
    for target in (":letters/old/letters", ":letters/old", ":letters/new"):
        assert "inside" in letters.fails("mv", ":letters", target)
    letters.ok("ln", "letters", "same")
    assert "inside" in letters.fails("mv", ":letters", ":same/old/")
    assert letters.ok("ls", "-F").split("\n") == ["letters/", "notes", "same/"]


def test_nothing_is_moved_over_a_directory(letters):
    letters.ok("mkdir", "old/letters")
    letters.ok("mkdir", "letters/empty")
    letters.ok("mkdir", "old/empty")
    assert "remove it first" in letters.fails("mv", ":letters/empty", ":old")
    assert letters.ok("ls", "-F", "letters").split("\n") == ["empty/", "eve", "old/"]


@pytest.mark.parametrize(("source", "target"), [("letters", "box"), ("letters", "box/letters"), ("notes", "box")])
def test_a_move_that_was_interrupted_is_in_both_places_and_the_same_command_finishes_it(
    letters, monkeypatch, source, target
):
    """Interrupted between the new link and the end of the old one."""
    letters.ok("mkdir", "box")
    unlinking = Directories._edit

    async def dies(self, slot, operation):
        if type(operation).__name__ == "Unlink":
            raise Indefinite(0, 3)
        await unlinking(self, slot, operation)

    monkeypatch.setattr(Directories, "_edit", dies)
    letters.fails("mv", f":{source}", f":{target}")
    monkeypatch.undo()
    monkeypatch.setenv("TAHOE_NODE", str(letters.node))
    assert source in letters.ok("ls").split("\n")
    assert letters.ok("ls", "box") == source
    letters.ok("mv", f":{source}", f":{target}")
    assert source not in letters.ok("ls").split("\n")
    assert letters.ok("ls", "box") == source


# --- put and get by path -----------------------------------------------------------------------------------


def test_a_file_never_takes_the_place_of_a_directory(letters):
    letters.file("note", b"short")
    assert "slash" in letters.fails("put", "note", "letters")
    letters.ok("put", "note", "letters/")
    assert letters("get", "letters/note").out == b"short"
    assert "tahoe cp -r" in letters.fails("get", "letters")


def test_a_slot_keeps_its_capability_and_gets_new_contents(letters):
    cap = letters.ok("ls", "--uri", "notes").split()[0]
    assert letters.ok("put", "-", "notes", given=LETTER * 50) == cap
    assert letters.ok("put", "-", cap, given=LETTER * 40) == cap
    assert letters("get", "notes").out == LETTER * 40
    read = letters.ok("ls", "--readonly-uri", "notes").split()[0]
    assert "reads" in letters.fails("put", "-", read, given=b"x")


def test_standard_input_needs_a_name_below_a_directory(letters):
    assert "NAME" in letters.fails("put", "-", "letters/", given=b"x", status=2)


def test_a_file_is_fetched_into_a_directory_under_its_name(letters):
    letters.ok("get", "letters/eve", ".")
    assert (letters.here / "eve").read_bytes() == LETTER


# --- trees -------------------------------------------------------------------------------------------------


def test_a_manifest_names_everything_once_loops_and_all(letters):
    letters.ok("ln", "letters", "letters/old/again")
    lines = letters.ok("manifest").split("\n")
    assert [line.split(" ", 1)[1] for line in lines[1:]] == ["letters", "letters/eve", "letters/old", "letters/old/adam", "notes"]  # fmt: skip
    assert all(line.startswith("URI:") for line in lines)
    verifiers = letters.ok("manifest", "--verify-cap").split("\n")
    assert len(verifiers) == 6
    assert all("-Verifier:" in line for line in verifiers)
    indexes = letters.ok("manifest", "--storage-index").split("\n")
    assert all(len(line) == 26 for line in indexes)
    last = json.loads(letters.ok("manifest", "--json").split("\n")[-1])
    assert last["stats"]["count-directories"] == 3


def test_statistics_count_files_and_bytes(letters):
    text = letters.ok("stats")
    assert "count-files: 3" in text
    assert f"size-immutable-files: {3 * len(LETTER)}" in text
    assert json.loads(letters.ok("stats", "--json", "letters"))["count-files"] == 2


def test_a_directory_that_can_not_be_read_fails_the_walk_and_is_named(letters):
    lost = "URI:DIR3-RO:" + "a" * 26 + ":" + "a" * 52
    children = {"gone": ["dirnode", {"ro_uri": lost}]}
    letters.drive.ask("POST", "/vdrive/private/letters?t=set_children", json.dumps(children).encode())
    outcome = letters("manifest", "letters")
    assert outcome.status == 1
    assert "private:letters/gone" in outcome.err
    assert "eve" in outcome.text


# --- aliases -----------------------------------------------------------------------------------------------


def test_an_alias_is_made_used_listed_and_removed(shell):
    shell.ok("create-alias", "work:")
    shell.ok("put", "-", "work:a/b", given=b"x")
    assert shell.ok("ls", "work:a") == "b"
    assert shell.ok("list-aliases") == "work:"
    assert shell.ok("list-aliases", "--uri").startswith("work: URI:DIR3:")
    assert shell.ok("list-aliases", "--readonly-uri").startswith("work: URI:DIR3-RO:")
    assert list(json.loads(shell.ok("list-aliases", "--json"))["aliases"]) == ["work"]
    cap = shell.ok("remove-alias", "--show", "work")
    assert shell.ok("ls", cap) == "a"
    assert "list-aliases" in shell.fails("remove-alias", "work")
    assert "no alias or root" in shell.fails("ls", "work:")


def test_an_alias_is_added_for_a_capability_or_a_path(shell):
    cap = shell.ok("mkdir", "a/b")
    shell.ok("add-alias", "one", cap)
    shell.ok("add-alias", "two", "private:a/b")
    shell.ok("add-alias", "three", "-", given=cap.encode())
    assert set(json.loads(shell.ok("list-aliases", "--json"))["aliases"].values()) == {cap}


@pytest.mark.parametrize("name", ["private", "global"])
def test_a_roots_name_is_no_alias(shell, name):
    assert "root" in shell.fails("create-alias", name)


@pytest.mark.parametrize("name", ["a/b", "a:b", "", "two words", "@x", "a\x1bb"])
def test_what_could_not_be_written_in_front_of_a_path_is_no_alias(shell, name):
    shell.fails("create-alias", name, status=2)


def test_no_alias_is_made_twice(shell):
    shell.ok("create-alias", "work")
    before = shell.ok("list-aliases", "--uri")
    assert "remove-alias" in shell.fails("create-alias", "work")
    assert "remove-alias" in shell.fails("add-alias", "work", "private:")
    assert shell.ok("list-aliases", "--uri") == before
