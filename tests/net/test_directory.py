"""Node directories: made whole, never over something, secrets for their owner only."""

import pytest

from tahoe.errors import BadConfiguration
from tahoe.net.card import BrokerEntry, GridCard
from tahoe.net.config import NodeConfig, NodeSection
from tahoe.net.directory import NewGrid, NodeDirectory, create_introducer, create_node, sign_encoding
from tahoe.net.keys import load_secret
from tahoe.protocol import Encoding
from tahoe.session.identity import GridKey
from tahoe.session.statement import decode_encoding, open_statement

GRID = NewGrid(brokers=(BrokerEntry("mqtt://127.0.0.1:1"),), encoding=Encoding(2, 3, 4), name="test")


@pytest.fixture
def introducer(tmp_path):
    return create_introducer(tmp_path / "introducer", GRID)


def test_founding_a_grid_makes_its_key_its_card_and_its_first_introducer(tmp_path, introducer):
    introducer.check()
    key = GridKey.from_seed(load_secret(tmp_path / "introducer.grid-key"))
    card = GridCard.load(introducer.card)
    assert card.public_key == key.public_key
    assert card.grid_id == key.grid_id
    assert card.introducers[0].node == introducer.load_identity().node
    assert card.introducers[0].exchange_key == introducer.load_identity().exchange_public
    (signed,) = introducer.load_statements(card.public_key)
    assert decode_encoding(open_statement(card.public_key, signed).value) == Encoding(2, 3, 4)
    assert NodeConfig.load(introducer.config).roles == ("introducer", "vdrive")


def test_the_grid_key_is_not_inside_any_node_directory(tmp_path, introducer):
    seed = (tmp_path / "introducer.grid-key").read_bytes().strip()
    for path in introducer.path.rglob("*"):
        assert path.is_dir() or seed not in path.read_bytes()


def test_a_node_gets_its_own_key_and_a_client_its_secrets(tmp_path, introducer):
    card = GridCard.load(introducer.card)
    node = create_node(tmp_path / "node", card)
    other = create_node(tmp_path / "other", card, NodeConfig(node=NodeSection(roles=("storage",))))
    assert node.load_identity().node != other.load_identity().node
    assert GridCard.load(node.card) == card
    assert len({path.read_text() for path in node.private.iterdir()}) == 3
    assert not list(other.private.iterdir())


def test_every_secret_is_readable_by_its_owner_only(tmp_path, introducer):
    node = create_node(tmp_path / "node", GridCard.load(introducer.card))
    secret = [node.key, node.card, node.api_token, node.convergence, node.lease_secret, introducer.key, introducer.card]
    for path in [*secret, tmp_path / "introducer.grid-key"]:
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert node.path.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_holds_something_is_refused(tmp_path, introducer):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("dear")
    with pytest.raises(BadConfiguration, match=r"holds diary\.txt already"):
        create_node(tmp_path / "full", GridCard.load(introducer.card))
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["diary.txt"]


def test_a_grid_key_is_never_overwritten(tmp_path):
    (tmp_path / "introducer.grid-key").write_text("the old one")
    with pytest.raises(BadConfiguration, match="never overwritten"):
        create_introducer(tmp_path / "introducer", GRID)
    assert not (tmp_path / "introducer").exists()


def test_what_is_no_node_directory_is_refused(tmp_path):
    with pytest.raises(BadConfiguration, match="no node directory"):
        NodeDirectory(tmp_path).check()


def test_a_directory_of_a_later_format_is_refused(introducer):
    introducer.format.write_text("tahoe node directory 7\n")
    with pytest.raises(BadConfiguration, match="upgrade"):
        introducer.check()


def test_a_forged_statement_is_refused_with_the_remedy(introducer):
    card = GridCard.load(introducer.card)
    sign_encoding(introducer, GridKey.from_seed(b"x" * 32), Encoding(1, 1, 1))
    with pytest.raises(BadConfiguration, match="tahoe grid sign"):
        introducer.load_statements(card.public_key)


def test_nonsense_parameters_are_not_signed(introducer):
    with pytest.raises(BadConfiguration, match="no encoding parameters"):
        sign_encoding(introducer, GridKey.from_seed(b"x" * 32), Encoding(5, 3, 4))


def test_a_key_that_others_can_read_is_refused(introducer):
    introducer.key.chmod(0o644)
    with pytest.raises(BadConfiguration, match="chmod 600"):
        introducer.load_identity()


def test_a_damaged_key_is_refused(introducer):
    introducer.key.write_text("not base32!\n")
    with pytest.raises(BadConfiguration, match="restore the file"):
        introducer.load_identity()
