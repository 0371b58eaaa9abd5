"""Recovery files: sealed and opened, damaged and guessed at; nodes that come back from them."""

from __future__ import annotations

import json
import secrets
import stat
import struct
import unicodedata
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tahoe.cli.aliases import Aliases
from tahoe.cli.recovery import recovery
from tahoe.cli.recoveryfile import PADDING, Belongings, Hardness, seal, unseal
from tahoe.cli.recoverynode import files_of, gather
from tahoe.codec import base32
from tahoe.codec.capability import Directory, SlotWrite
from tahoe.errors import BadConfiguration
from tahoe.net.card import BrokerEntry, GridCard
from tahoe.net.directory import NewGrid, NodeDirectory, create_introducer, create_node
from tahoe.net.keys import load_secret

VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "recovery.json").read_text())
CHEAP = Hardness(64, 1, 1)
SALT, NONCE = b"s" * 16, b"n" * 12
HEAD = 56
MEMORY_OF_GIGABYTES = 17
"""A byte whose bits ask for so much memory that it is allowed, and slow."""
ROOT_CAP = str(Directory(SlotWrite(b"r" * 32)))
SECRET = base32.encode(b"x" * 32)
SOME = Belongings("card", SECRET, SECRET, SECRET, ROOT_CAP, {"backups": ROOT_CAP}, (), 1)

texts = st.text(max_size=30)
belongings = st.builds(
    Belongings,
    texts,
    texts,
    texts,
    texts,
    texts,
    st.dictionaries(texts, texts, max_size=5),
    st.tuples(texts),
    st.integers(0, 2**40),
)


# --- the file --------------------------------------------------------------------------------------------------


def test_the_example_is_what_this_program_writes_and_reads():
    hardness = Hardness(VECTOR["memory"], VECTOR["passes"], VECTOR["lanes"])
    found = msgspec.convert(VECTOR["belongings"], Belongings)
    data = seal(found, VECTOR["passphrase"], bytes.fromhex(VECTOR["salt"]), bytes.fromhex(VECTOR["nonce"]), hardness)
    assert data == bytes.fromhex(VECTOR["file"])
    assert unseal(data, VECTOR["passphrase"]) == found


def test_the_example_opens_by_what_the_documentation_says():
    data = bytes.fromhex(VECTOR["file"])
    memory, passes, lanes = struct.unpack(">LLL", data[16:28])
    stretched = Argon2id(salt=data[28:44], length=32, iterations=passes, lanes=lanes, memory_cost=memory)
    key = stretched.derive(unicodedata.normalize("NFC", VECTOR["passphrase"]).encode())
    assert json.loads(AESGCM(key).decrypt(data[44:56], data[56:], data[:56])) == VECTOR["belongings"]


@settings(max_examples=30, deadline=None)
@given(belongings, texts)
def test_what_was_sealed_is_what_comes_out(found, passphrase):
    data = seal(found, passphrase, SALT, NONCE, CHEAP)
    assert unseal(data, passphrase) == found
    assert (len(data) - HEAD - 16) % PADDING == 0


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_flipped_bit_is_found(data):
    sealed = bytearray(seal(SOME, "passphrase", SALT, NONCE, CHEAP))
    position = data.draw(st.one_of(st.integers(0, HEAD - 1), st.integers(0, len(sealed) - 1)))
    assume(position != MEMORY_OF_GIGABYTES)
    sealed[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadConfiguration):
        unseal(bytes(sealed), "passphrase")


@pytest.mark.parametrize("length", [0, 15, 16, HEAD, HEAD + 15, HEAD + 100])
def test_a_file_that_is_cut_short_is_refused(length):
    with pytest.raises(BadConfiguration):
        unseal(seal(SOME, "passphrase", SALT, NONCE, CHEAP)[:length], "passphrase")


def test_another_passphrase_does_not_open_it_and_no_secret_is_told():
    with pytest.raises(BadConfiguration, match="not the passphrase") as error:
        unseal(seal(SOME, "passphrase", SALT, NONCE, CHEAP), "Passphrase")
    assert "URI" not in str(error.value)
    assert "URI" not in repr(SOME)


def test_a_passphrase_is_the_same_however_its_accents_are_typed():
    sealed = seal(SOME, "caf\u00e9 au lait", SALT, NONCE, CHEAP)
    assert unseal(sealed, "cafe\u0301 au lait") == SOME


@pytest.mark.parametrize(
    "numbers",
    [(2**31, 1, 1), (64, 2**31, 1), (64, 1, 1000), (0, 1, 1), (64, 0, 1), (64, 1, 0), (64, 1, 64), (2**21, 64, 4)],
)
def test_a_file_that_would_take_the_machine_down_is_refused_before_it_does(numbers):
    data = seal(SOME, "passphrase", SALT, NONCE, CHEAP)
    with pytest.raises(BadConfiguration, match="damaged"):
        unseal(data[:16] + struct.pack(">LLL", *numbers) + data[28:], "passphrase")


def test_a_file_of_a_newer_kind_asks_for_a_newer_program():
    data = seal(SOME, "passphrase", SALT, NONCE, CHEAP)
    with pytest.raises(BadConfiguration, match="upgrade"):
        unseal(data[:15] + b"2" + data[16:], "passphrase")


def test_what_a_later_program_adds_is_passed_over():
    key = Argon2id(salt=SALT, length=32, iterations=1, lanes=1, memory_cost=64).derive(b"passphrase")
    head = seal(SOME, "passphrase", SALT, NONCE, CHEAP)[:HEAD]
    more = json.dumps({**msgspec.to_builtins(SOME), "later": [1]}).encode()
    assert unseal(head + AESGCM(key).encrypt(NONCE, more, head), "passphrase") == SOME


# --- nodes -----------------------------------------------------------------------------------------------------


@pytest.fixture
def node(tmp_path):
    """A client that has been used."""
    founded = create_introducer(tmp_path / "introducer", NewGrid((BrokerEntry("mqtt://127.0.0.1:9"),), name="friends"))
    made = create_node(tmp_path / "node", GridCard.load(founded.card))
    made.private_root.touch(mode=0o600)
    made.private_root.write_text(ROOT_CAP + "\n")
    made.roots.write_bytes(msgspec.msgpack.encode((b"statement one", b"two")))
    Aliases(made.path).add("backups", ROOT_CAP)
    Aliases(made.path).add("sch\u00f6n", "URI:CHK:something")
    return made


def test_a_node_that_comes_back_has_all_that_it_had(node, tmp_path, tahoe):
    (tmp_path / "passphrase").write_text("six random words are the best\nnot this line\n")
    exported = tahoe("recovery", "export", "file", "--passphrase-file", "passphrase")
    assert exported.status == 0, exported.err
    assert "friends" in exported.text
    assert "2 aliases" in exported.text
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert struct.unpack(">LLL", (tmp_path / "file").read_bytes()[16:28]) == (256 * 1024, 4, 4)

    made = tahoe(
        "create-node", "again", "--recovery", "file", "--passphrase-file", "-", given=b"six random words are the best"
    )
    assert made.status == 0, made.err
    again = NodeDirectory(tmp_path / "again")
    again.check()
    assert again.load_identity().node == node.load_identity().node
    for path in (node.key, node.convergence, node.lease_secret, node.private_root, node.roots):
        assert (again.path / path.relative_to(node.path)).read_bytes() == path.read_bytes()
    assert GridCard.load(again.card) == GridCard.load(node.card)
    assert Aliases(again.path).load() == Aliases(node.path).load()
    assert load_secret(again.api_token) != load_secret(node.api_token)
    for path in again.path.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077 or path == again.config, path


def test_what_is_in_a_file_is_told_without_its_secrets(node, tmp_path, tahoe):
    (tmp_path / "passphrase").write_text("six random words are the best")
    (tmp_path / "file").write_bytes(seal(gather(node.path), "six random words are the best", SALT, NONCE, CHEAP))
    shown = tahoe("recovery", "show", "file", "--passphrase-file", "passphrase")
    assert shown.status == 0, shown.err
    assert "sch\u00f6n:" in shown.text
    assert "URI" not in shown.text


@pytest.mark.parametrize(("passphrase", "says"), [("short", "10 characters"), ("", "10 characters")])
def test_a_passphrase_that_is_none_is_refused(node, tmp_path, tahoe, passphrase, says):
    (tmp_path / "passphrase").write_text(passphrase)
    outcome = tahoe("recovery", "export", "file", "--passphrase-file", "passphrase")
    assert outcome.status == 1
    assert says in outcome.err
    assert not (tmp_path / "file").exists()


def test_without_a_file_the_passphrase_is_asked_for_and_a_new_one_twice(node, tmp_path):
    file, words = tmp_path / "file", "six random words are the best"
    asked = CliRunner().invoke(
        recovery, ["export", str(file), "-d", str(node.path)], input=f"{words}\nother\n{words}\n{words}\n"
    )
    assert asked.exit_code == 0, asked.output
    assert words not in asked.output
    shown = CliRunner().invoke(recovery, ["show", str(file)], input=f"{words}\n")
    assert shown.exit_code == 0, shown.output
    assert words not in shown.output


def test_nothing_is_overwritten_and_a_wrong_passphrase_makes_no_node(node, tmp_path, tahoe):
    (tmp_path / "passphrase").write_text("six random words are the best")
    (tmp_path / "other").write_text("six other words are not as good")
    (tmp_path / "file").write_bytes(seal(gather(node.path), "six random words are the best", SALT, NONCE, CHEAP))
    before = (tmp_path / "file").read_bytes()
    assert "not overwritten" in tahoe("recovery", "export", "file", "--passphrase-file", "passphrase").err
    assert (tmp_path / "file").read_bytes() == before
    assert "not the passphrase" in tahoe("create-node", "again", "--recovery", "file", "--passphrase-file", "other").err
    assert not (tmp_path / "again").exists()
    occupied = tahoe("create-node", node.path, "--recovery", "file", "--passphrase-file", "passphrase")
    assert "holds" in occupied.err
    assert load_secret(node.api_token)


def test_a_node_needs_a_card_or_a_recovery_file_and_not_both(node, tmp_path, tahoe):
    (tmp_path / "file").write_bytes(b"")
    for options in ((), ("--grid", node.card, "--recovery", "file")):
        outcome = tahoe("create-node", "again", *options)
        assert outcome.status == 2
        assert "--recovery FILE" in outcome.err


def test_before_its_private_root_is_made_a_node_that_does_not_run_has_nothing_to_export(node, tmp_path, tahoe):
    node.private_root.unlink()
    (tmp_path / "passphrase").write_text("six random words are the best")
    outcome = tahoe("recovery", "export", "file", "--passphrase-file", "passphrase")
    assert outcome.status == 1
    assert "tahoe start" in outcome.err
    assert not (tmp_path / "file").exists()


def test_a_node_without_a_client_has_nothing_to_export(tmp_path):
    founded = create_introducer(tmp_path / "introducer", NewGrid((BrokerEntry("mqtt://127.0.0.1:9"),)))
    with pytest.raises(BadConfiguration, match="no client"):
        gather(founded.path)


@pytest.mark.parametrize(
    "change",
    [
        {"account": "aa"},
        {"account": "nonsense!"},
        {"convergence": base32.encode(secrets.token_bytes(31))},
        {"private_root": "URI:CHK:x"},
        {"roots": ("!",)},
    ],
)
def test_belongings_that_make_no_sense_make_no_node(change):
    files_of(SOME)
    with pytest.raises(BadConfiguration):
        files_of(msgspec.structs.replace(SOME, **change))
