"""cp and mv between this machine and the grid: all directions, interruptions at every step, and hostile trees."""

from __future__ import annotations

import json
import os
import unicodedata

import pytest

from tahoe.actors.directories import Directories
from tahoe.cli import gridtree
from tahoe.cli.gateway import Gateway
from tahoe.codec.capability import Literal, parse
from tahoe.errors import Conflict, NotEnoughServers
from tests.cli.shell import Shell, local_tree

LARGE = b"0123456789abcdef" * 4096


@pytest.fixture
def tree(shell) -> Shell:
    """A user with a small tree here, called ``tree``."""
    for number in range(12):
        shell.file(f"tree/file {number:02}", b"%d " % number * 200)
    shell.file("tree/sub/deep/large", LARGE)
    shell.file("tree/sub/empty", b"")
    (shell.here / "tree" / "bare").mkdir()
    return shell


# --- trees -------------------------------------------------------------------------------------------------


def test_a_tree_goes_in_and_comes_out_the_same(tree):
    tree.ok("cp", "-r", "tree", ":copy")
    assert tree.ok("ls", "-F", "copy/sub").split("\n") == ["deep/", "empty"]
    tree.ok("cp", "-r", ":copy", "back")
    assert local_tree(tree.here / "back") == local_tree(tree.here / "tree")
    assert (tree.here / "back" / "bare").is_dir()


def test_into_a_directory_that_is_there_a_tree_goes_under_its_name(tree):
    tree.ok("mkdir", "box")
    tree.ok("cp", "-r", "tree", ":box")
    assert tree.ok("ls", "-F", "box") == "tree/"
    tree.ok("cp", "-r", "tree/sub/.", ":box")
    assert tree.ok("ls", "-F", "box").split("\n") == ["deep/", "empty", "tree/"]
    (tree.here / "back").mkdir()
    tree.ok("cp", "-r", ":box/tree", "back")
    assert local_tree(tree.here / "back" / "tree") == local_tree(tree.here / "tree")


def test_what_a_root_has_in_it_goes_into_the_directory_itself(tree):
    tree.ok("create-alias", "mine")
    tree.ok("cp", "-r", "tree/.", "mine:")
    tree.ok("cp", "-r", "mine:", "back")
    assert local_tree(tree.here / "back") == local_tree(tree.here / "tree")
    tree.ok("cp", "-r", "mine:", "back")
    assert local_tree(tree.here / "back") == local_tree(tree.here / "tree")


def test_within_the_grid_no_contents_move_and_slots_become_copies(tree):
    tree.ok("cp", "-r", "tree", ":one")
    tree.ok("put", "--mutable", "-", "one/slot", given=b"before")
    heard = [machine.heard for machine in tree.drive.grid.servers]
    for requests in heard:
        requests.clear()
    tree.ok("cp", "-r", ":one", ":two")
    tree.ok("put", "-", "one/slot", given=b"after")
    assert not any(type(request).__name__ == "StoreShares" for requests in heard for request in requests)
    expected = {**local_tree(tree.here / "tree"), "slot": b"before"}
    assert tree.tree("two") == expected


def test_a_tree_is_copied_here_by_the_same_rules(tree):
    tree.ok("cp", "-r", "tree", "twin")
    assert local_tree(tree.here / "twin") == local_tree(tree.here / "tree")


def test_a_directory_needs_r(tree):
    assert "cp -r" in tree.fails("cp", "tree", ":")
    assert tree.ok("ls") == ""


def test_symbolic_links_are_named_and_not_followed(tree):
    (tree.here / "tree" / "sub" / "link").symlink_to("/etc")
    os.mkfifo(tree.here / "tree" / "pipe")
    outcome = tree("cp", "-r", "tree", ":copy")
    assert outcome.status == 0
    assert "link is a symbolic link" in outcome.err
    assert "pipe is a named pipe" in outcome.err
    assert tree.tree("copy") == {path: data for path, data in local_tree(tree.here / "tree").items() if "link" not in path}  # fmt: skip


def test_many_files_take_few_changes_of_their_directory(shell, monkeypatch):
    for number in range(250):
        shell.file(f"many/{number}", b"%d" % number)
    asked = []
    request = Gateway.request

    def noting(self, method, path, *rest, **options):
        asked.append((method, path))
        return request(self, method, path, *rest, **options)

    monkeypatch.setattr(Gateway, "request", noting)
    shell.ok("cp", "-r", "many", ":many")
    assert len([path for _, path in asked if "set_children" in path]) <= 4
    assert len(shell.ok("ls", "many").split("\n")) == 250


# --- files -------------------------------------------------------------------------------------------------


def test_one_file_goes_to_a_name_into_a_directory_or_to_a_stream(shell):
    shell.file("note", LARGE)
    shell.ok("cp", "note", ":a/b")
    shell.ok("cp", "note", ":a")
    shell.ok("cp", "note", ":new/")
    assert shell.ok("ls", "a").split("\n") == ["b", "note"]
    assert shell("cp", ":new/note", "-").out == LARGE
    shell.ok("cp", "-", ":a/c", given=b"from a pipe")
    assert shell("get", "a/c").out == b"from a pipe"
    shell.ok("cp", ":a/c", "here")
    assert (shell.here / "here").read_bytes() == b"from a pipe"
    shell.ok("cp", ":a/c", os.devnull)
    assert not os.path.isfile(os.devnull)  # noqa: PTH113  # a constant


def test_a_copy_onto_a_slot_changes_what_is_in_it(shell):
    cap = shell.ok("put", "--mutable", "-", "box/slot", given=b"first")
    shell.file("slot", b"second")
    shell.ok("cp", "slot", ":box")
    assert shell("get", cap).out == b"second"
    shell.file("third", LARGE)
    shell.ok("cp", "third", cap)
    assert shell("get", "box/slot").out == LARGE


def test_files_keep_their_times_and_unchanged_ones_are_left_alone(tree):
    os.utime(tree.here / "tree" / "file 00", (1_500_000_000.25, 1_500_000_000.25))
    tree.ok("cp", "-r", "tree", ":copy")
    assert "0 files copied, 14 unchanged" in tree("cp", "-r", "--skip-unchanged", "tree/.", ":copy").err
    tree.ok("cp", "-r", ":copy", "back")
    assert (tree.here / "back" / "file 00").stat().st_mtime == 1_500_000_000.25
    assert "0 files copied, 14 unchanged" in tree("cp", "-r", "--skip-unchanged", ":copy/.", "back").err
    tree.file("tree/file 01", b"1 " * 199 + b"2 ")
    assert "1 files copied, 13 unchanged" in tree("cp", "-r", "--skip-unchanged", "tree/.", ":copy").err
    assert tree.tree("copy") == local_tree(tree.here / "tree")


def version_of(shell, slot: str):
    """Which version of a slot there is."""
    return shell.drive.run(shell.drive.grid.client.slots.read(parse(slot))).version


def test_slots_are_left_alone_when_their_contents_are_the_same_already(shell):
    slot = shell.ok("put", "--mutable", "-", "box/slot", given=LARGE)
    shell.file("here/slot", LARGE)
    version = version_of(shell, slot)
    assert "0 files copied, 1 unchanged" in shell("cp", "-r", "--skip-unchanged", "here/.", ":box").err
    assert "0 files copied, 1 unchanged" in shell("cp", "-r", "--skip-unchanged", ":box/.", "here").err
    shell.ok("cp", "-r", ":box", ":copy")
    assert "0 files copied, 1 unchanged" in shell("cp", "-r", "--skip-unchanged", ":box/.", ":copy").err
    assert version_of(shell, slot) == version
    for changed in (b"x" + LARGE[1:], b"short"):
        shell.file("here/slot", changed)
        assert "1 files copied, 0 unchanged" in shell("cp", "-r", "--skip-unchanged", "here/.", ":box").err
        assert "1 files copied, 0 unchanged" in shell("cp", "-r", "--skip-unchanged", ":box/.", ":copy").err
        assert shell("get", ":copy/slot").out == shell("get", slot).out == changed


def test_several_files_need_a_directory(shell):
    one, two = shell.file("one"), shell.file("two")
    assert "no directory" in shell.fails("cp", one, two, ":nowhere")
    shell.ok("mkdir", "box")
    shell.ok("cp", one, two, ":box")
    assert shell.ok("ls", "box").split("\n") == ["one", "two"]


def test_a_failure_is_named_and_the_rest_is_copied(tree):
    tree.ok("mkdir", "copy/file 03")
    outcome = tree("cp", "-r", "tree/.", ":copy")
    assert outcome.status == 1
    assert "file 03: private:copy/file 03: there is a directory" in outcome.err
    assert set(tree.tree("copy")) == set(local_tree(tree.here / "tree")) - {"file 03"}


def test_a_grid_that_is_out_of_reach_ends_the_copy_soon_and_is_explained_once(shell, monkeypatch):
    for number in range(100):
        shell.file(f"many/{number}", LARGE)

    async def fails(*_arguments, **_options):
        raise NotEnoughServers(1, 3, "three are gone:\n  bob said so")

    monkeypatch.setattr(shell.drive.grid.client, "upload", fails)
    said = shell.fails("cp", "-r", "many", ":many")
    assert "given up after 20 failures" in said
    assert said.count("happiness 3 is asked for") == 20
    assert said.count("bob said so") == 1


def test_of_two_copies_that_fight_over_one_name_the_later_has_the_last_word(shell, monkeypatch):
    shell.file("note", LARGE)
    shell.ok("mkdir", "box")
    edit, refused = Directories._edit, []

    async def late(self, slot, operation):
        if len(refused) < 2:
            refused.append(operation)
            raise Conflict("somebody else has just changed it")
        await edit(self, slot, operation)

    monkeypatch.setattr(Directories, "_edit", late)
    shell.ok("cp", "note", ":box")
    assert len(refused) == 2
    assert shell("get", "box/note").out == LARGE
    refused.clear()
    monkeypatch.setattr(gridtree, "TRIES", 2)
    assert "1 not linked: note" in shell.fails("cp", "note", ":box")


# --- mv ----------------------------------------------------------------------------------------------------


def test_a_tree_moves_into_the_grid_and_back(tree):
    before = local_tree(tree.here / "tree")
    tree.ok("mv", "tree", ":box")
    assert not (tree.here / "tree").exists()
    assert tree.tree("box") == before
    tree.ok("mv", ":box", "again")
    assert tree.ok("ls") == ""
    assert local_tree(tree.here / "again") == before


def test_what_could_not_be_copied_is_not_taken_away(tree):
    (tree.here / "tree" / "link").symlink_to("file 00")
    assert "stays" in tree.fails("mv", "tree", ":box")
    assert len(local_tree(tree.here / "tree")) == 15
    tree.file("outer/box/file 00/taken")
    assert "stays" in tree.fails("mv", ":box", "outer")
    assert "file 00" in tree.ok("ls", "box")


# --- interruptions -----------------------------------------------------------------------------------------


class Killed(BaseException):
    """The command's process is killed: nothing that it has not asked for yet is ever asked for."""


def kill_after(monkeypatch, requests: int) -> None:
    """Let commands die before they ask the gateway once more than so many times."""
    left = [requests]
    request = Gateway.request

    def dying(self, *arguments, **options):
        if not left[0]:
            raise Killed
        left[0] -= 1
        return request(self, *arguments, **options)

    monkeypatch.setattr(Gateway, "request", dying)


@pytest.mark.parametrize("direction", ["in", "out", "within"])
def test_a_copy_that_is_killed_between_any_two_requests_is_completed_by_the_same_command(tree, direction):
    for number in range(4, 12):
        (tree.here / "tree" / f"file {number:02}").unlink()
    expected = local_tree(tree.here / "tree")
    tree.ok("cp", "-r", "tree", ":source")
    for count in range(100):
        source, target = {
            "in": ("tree/.", f":in{count}"),
            "out": (":source/.", f"out{count}"),
            "within": (":source/.", f":within{count}"),
        }[direction]
        with pytest.MonkeyPatch.context() as monkeypatch:
            kill_after(monkeypatch, count)
            try:
                killed = tree("cp", "-r", "--jobs", "2", source, target).status != 0
            except Killed:
                killed = True
        if target.startswith(":") and f"{target[1:]}" in tree.ok("ls").split("\n"):
            assert tree.tree(target).items() <= expected.items()
        if (tree.here / target).exists():
            whole = {path: data for path, data in local_tree(tree.here / target).items() if ".part" not in path}
            assert whole.items() <= expected.items()
        tree.ok("cp", "-r", source, target)
        found = tree.tree(target) if target.startswith(":") else local_tree(tree.here / target)
        assert {path: data for path, data in found.items() if ".part" not in path} == expected
        if not killed:
            break
    assert not killed
    assert count > 3


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_move_that_is_killed_between_any_two_requests_loses_nothing(shell, direction):
    for count in range(20):
        shell.file("box/one", LARGE)
        shell.file("box/two", b"short")
        expected = local_tree(shell.here / "box")
        source, target = ("box", f":target{count}") if direction == "in" else (f":source{count}", f"target{count}")
        if direction == "out":
            shell.ok("cp", "-r", "box", source)
        with pytest.MonkeyPatch.context() as monkeypatch:
            kill_after(monkeypatch, count)
            try:
                killed = shell("mv", source, target).status != 0
            except Killed:
                killed = True
        if not killed:
            break
        left = local_tree(shell.here / source) if direction == "in" else shell.tree(source)
        assert left == expected
    assert not killed
    assert count > 3
    found = shell.tree(target) if direction == "in" else local_tree(shell.here / target)
    assert found == expected


def test_drafts_of_the_dead_are_swept_away_and_those_of_the_living_stay(tree):
    tree.ok("cp", "-r", "tree", ":copy")
    dead = tree.file("back/.tahoe-4999999-0.part")
    living = tree.file(f"back/.tahoe-{os.getpid()}-99999.part")
    other = tree.file("back/.tahoe-notes-1.part")
    tree.ok("cp", "-r", ":copy/.", "back")
    assert (dead.exists(), living.exists(), other.exists()) == (False, True, True)


# --- hostile trees -----------------------------------------------------------------------------------------


def evil(shell: Shell, names: list[str]) -> None:
    """Have the gateway list files under any names, as an enemy's directory could."""
    cap = shell.ok("put", "-", given=b"evil")
    child = ["filenode", {"ro_uri": cap, "mutable": False, "size": 4, "format": "LIT"}]
    folder = ["dirnode", {"ro_uri": shell.ok("mkdir", "inner"), "verify_uri": "URI:x", "mutable": True}]
    listed = {**dict.fromkeys(names, child), "../folder": folder, "..": folder}
    answer = ["dirnode", {"ro_uri": "URI:DIR3-RO:x", "verify_uri": "URI:evil", "mutable": True, "children": listed}]
    request = Gateway.request

    def lying(self, method, path, *rest, **options):
        if path.startswith("/uri/URI:EVIL"):
            path = f"/uri/{evil_cap}"
        return request(self, method, path, *rest, **options)

    evil_cap = Literal(json.dumps(answer).encode())
    shell.monkeypatch.setattr(Gateway, "request", lying)


ESCAPES = ["..", ".", "", "/etc/evil", "../evil", "a/../../evil", "a\0b", "\ud800", "../../../../../../tmp/evil"]


def test_no_name_leads_out_of_the_target(shell):
    evil(shell, ["good", *ESCAPES])
    before = {path for path in shell.here.parent.rglob("*") if "node" not in path.parts}
    outcome = shell("cp", "-r", "URI:EVIL", "target")
    assert outcome.status == 1
    new = {path for path in shell.here.parent.rglob("*") if "node" not in path.parts} - before
    assert {str(path.relative_to(shell.here)) for path in new} == {"target", "target/good"}
    assert outcome.err.count("can't be the name of a file") == len(ESCAPES) + 1


def test_control_characters_and_long_names_do_no_harm(shell):
    names = ["\x1b[2J", "exe.\u202egpj", "new\nline", "x" * 4096, "fine"]
    evil(shell, names)
    outcome = shell("cp", "-r", "URI:EVIL", "target")
    assert "\x1b" not in outcome.err
    assert "File name too long" in outcome.err
    assert sorted(os.listdir(shell.here / "target")) == sorted([*names[:3], "fine"])  # noqa: PTH208  # names


def test_names_that_are_one_name_do_not_overwrite_one_another(shell):
    both = ["\u00fc", unicodedata.normalize("NFD", "\u00fc")]
    evil(shell, both)
    assert "are one name here" in shell.fails("cp", "-r", "URI:EVIL", "target")
    assert len(os.listdir(shell.here / "target")) == 1  # noqa: PTH208  # names
    for name in both:
        shell.file(f"twins/{name}", name.encode())
    assert "are one name in the grid" in shell.fails("cp", "-r", "twins", ":twins")
    assert len(shell.tree("twins")) == 1


def test_a_symbolic_link_in_the_target_is_not_followed(tree):
    tree.ok("cp", "-r", "tree", ":copy")
    elsewhere = tree.here / "elsewhere"
    elsewhere.mkdir()
    (tree.here / "back").mkdir()
    (tree.here / "back" / "sub").symlink_to(elsewhere)
    (tree.here / "back" / "file 00").symlink_to(elsewhere / "victim")
    assert "no directory" in tree.fails("cp", "-r", ":copy/.", "back")
    assert list(elsewhere.iterdir()) == []
    assert not (tree.here / "back" / "file 00").is_symlink()


def test_a_directory_that_contains_itself_is_copied_once(tree):
    tree.ok("mkdir", "loop/inner")
    tree.ok("put", "-", "loop/file", given=b"x")
    tree.ok("ln", "loop", "loop/inner/again")
    assert "contains itself" in tree.fails("cp", "-r", ":loop", "out")
    assert local_tree(tree.here / "out") == {"file": b"x"}
    assert "contains itself" in tree.fails("cp", "-r", ":loop", ":unlooped")
    assert tree.tree("unlooped") == {"file": b"x"}


def test_a_tree_is_not_copied_into_itself_without_end(tree):
    tree("cp", "-r", "tree", "tree/sub")
    tree.ok("mkdir", "a/b")
    tree.ok("put", "-", "a/file", given=b"x")
    tree("cp", "-r", ":a", ":a/b")
    assert max(map(len, (path.parts for path in tree.here.rglob("*")))) < len(tree.here.parts) + 8
    assert len(tree.tree("a")) == 2
