"""Commands that found a grid, join it and sign for it."""

from __future__ import annotations

import stat

import pytest

from tahoe.net.card import GridCard
from tahoe.net.config import NodeConfig
from tahoe.net.directory import NodeDirectory
from tahoe.protocol import CLIENT, INTRODUCER, STORAGE, VDRIVE, Encoding
from tahoe.session.statement import decode_encoding, open_statement

BROKER = ("--broker", "mqtt://user:pass@localhost:1999")


def signed_encoding(directory: NodeDirectory) -> Encoding:
    key = GridCard.load(directory.card).public_key
    (signed,) = directory.load_statements(key)
    return decode_encoding(open_statement(key, signed).value)


@pytest.fixture
def introducer(tahoe, tmp_path) -> NodeDirectory:
    assert tahoe("create-introducer", "intro", *BROKER).status == 0
    return NodeDirectory(tmp_path / "intro")


def test_an_introducer_founds_a_grid(introducer, tmp_path):
    introducer.check()
    card = GridCard.load(introducer.card)
    (broker,) = card.brokers
    assert (broker.url, broker.user, broker.password) == ("mqtt://localhost:1999", "user", "pass")
    assert [entry.node for entry in card.introducers] == [introducer.load_identity().node]
    assert NodeConfig.load(introducer.config).roles == (INTRODUCER, VDRIVE)
    assert signed_encoding(introducer) == Encoding(3, 7, 10)
    assert stat.S_IMODE((tmp_path / "intro.grid-key").stat().st_mode) == 0o600


def test_secrets_are_not_said(tahoe, introducer):
    outcome = tahoe("create-introducer", "other", *BROKER)
    assert "pass" not in outcome.text
    assert NodeDirectory(introducer.path).key.read_text().strip() not in outcome.text


def test_the_founder_chooses_encoding_and_key(tahoe, tmp_path):
    assert tahoe("create-introducer", "i", *BROKER, "--encoding", "2/3/4", "--grid-key", "key").status == 0
    assert signed_encoding(NodeDirectory(tmp_path / "i")) == Encoding(2, 3, 4)
    assert (tmp_path / "key").exists()
    assert not (tmp_path / "i.grid-key").exists()


def test_a_node_joins_by_the_card(tahoe, introducer, tmp_path):
    outcome = tahoe("create-node", "n", "--grid", introducer.card, "--nickname", "eve", "--web-port", 3999, "--sizelimit", "10G")  # fmt: skip
    assert outcome.status == 0
    node = NodeDirectory(tmp_path / "n")
    node.check()
    config = NodeConfig.load(node.config)
    assert config.roles == (STORAGE, CLIENT)
    assert (config.node.nickname, config.client.web_port, config.storage.sizelimit) == ("eve", 3999, 10**10)
    assert GridCard.load(node.card) == GridCard.load(introducer.card)
    assert node.api_token.exists()


def test_roles_are_chosen(tahoe, introducer, tmp_path):
    assert tahoe("create-node", "n", "--grid", introducer.card, "--roles", "storage").status == 0
    assert NodeConfig.load(tmp_path / "n" / "tahoe.toml").roles == (STORAGE,)


@pytest.mark.parametrize(
    "options",
    [
        ["--roles", "storage,king"],
        ["--roles", "storage,storage"],
        ["--web-port", 70_000],
        ["--sizelimit", "much"],
        ["--grid", "missing.toml"],
    ],
)
def test_wrong_options_make_nothing(tahoe, introducer, tmp_path, options):
    outcome = tahoe("create-node", "n", "--grid", introducer.card, *options)
    assert outcome.status == 2
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize("encoding", ["3/7", "3/11/10", "10/7/3", "0/1/1", "a/b/c"])
def test_encodings_that_make_no_sense_are_refused(tahoe, tmp_path, encoding):
    assert tahoe("create-introducer", "i", *BROKER, "--encoding", encoding).status == 2
    assert not (tmp_path / "i").exists()


@pytest.mark.parametrize("broker", ["http://localhost", "localhost", "mqtt://"])
def test_what_is_no_broker_is_refused(tahoe, tmp_path, broker):
    outcome = tahoe("create-introducer", "i", "--broker", broker)
    assert outcome.status == 1
    assert "mqtt://" in outcome.err
    assert not (tmp_path / "i").exists()


def test_a_directory_that_holds_something_is_left_alone(tahoe, introducer, tmp_path):
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "letter").touch()
    outcome = tahoe("create-node", "n", "--grid", introducer.card)
    assert outcome.status == 1
    assert "letter" in outcome.err
    assert tahoe("create-introducer", "intro", *BROKER).status == 1


def test_the_owner_signs_another_encoding(tahoe, introducer):
    assert tahoe("grid", "sign", "intro", "--encoding", "1/2/3").status == 0
    assert signed_encoding(introducer) == Encoding(1, 2, 3)
    assert tahoe("grid", "sign", "intro").status == 0
    assert signed_encoding(introducer) == Encoding(1, 2, 3)


def test_nobody_else_signs(tahoe, introducer, tmp_path):
    assert tahoe("create-introducer", "other", *BROKER).status == 0
    outcome = tahoe("grid", "sign", "intro", "--grid-key", "other.grid-key")
    assert outcome.status == 1
    assert "not the key" in outcome.err
    (tmp_path / "intro.grid-key").unlink()
    assert tahoe("grid", "sign", "intro").status == 1


def test_the_founder_chooses_what_the_first_node_does_beside(tahoe, tmp_path):
    assert tahoe("create-introducer", "i", *BROKER, "--roles", "introducer, client").status == 0
    directory = NodeDirectory(tmp_path / "i")
    assert NodeConfig.load(directory.config).roles == (INTRODUCER, CLIENT)
    assert directory.api_token.exists()


@pytest.mark.parametrize("roles", ["vdrive", "introducer,king", ""])
def test_a_grid_without_an_introducer_is_not_founded(tahoe, tmp_path, roles):
    assert tahoe("create-introducer", "i", *BROKER, "--roles", roles).status == 2
    assert not (tmp_path / "i").exists()
    assert not (tmp_path / "i.grid-key").exists()


def test_a_vdrive_is_a_node_like_others(tahoe, introducer, tmp_path):
    assert tahoe("create-node", "n", "--grid", introducer.card, "--roles", "vdrive").status == 0
    assert NodeConfig.load(tmp_path / "n" / "tahoe.toml").roles == (VDRIVE,)
