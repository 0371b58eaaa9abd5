"""Keys of nodes and of the grid, and what they sign."""

from __future__ import annotations

import pytest

from tahoe.errors import BadConfiguration, BadMessage
from tahoe.protocol import STORAGE, Announcement, Encoding, NodeId
from tahoe.session.identity import GridKey, Identity, grid_id_of, lease_seed_of, public_key_of, verify
from tahoe.session.settings import GridAccess, Settings
from tahoe.session.statement import (
    LONGEST_ANNOUNCEMENT,
    GridStatement,
    decode_encoding,
    encode_encoding,
    open_announcement,
    open_presence,
    open_statement,
    sign_announcement,
    sign_presence,
    sign_statement,
)

alice = Identity.from_seed(b"a" * 32)
bob = Identity.from_seed(b"b" * 32)


def announcement(identity=alice, **changes):
    facts = {
        "node": identity.node,
        "exchange_key": identity.exchange_public,
        "roles": (STORAGE,),
        "nickname": "alice",
        "location": "site/rack/host",
        "capacity": 1,
        "available": 1,
        "protocol_versions": (1, 1),
        "software": "0",
        "epoch": 1,
        "sequence": 1,
    }
    return Announcement(**{**facts, **changes})


def test_one_seed_is_one_identity_for_ever():
    assert alice.node == "v0-hfhewachg6ja3tkzwr6fels2h4mnjxppsu4i3kdfg4k6admchelq"
    assert alice.exchange_public.hex() == "28b083da42e726d477621361ce8b8dd948974f29a4bcf0a59b3f2cf350337b48"
    assert public_key_of(alice.node) == alice.public_key
    assert alice.lease_seed == lease_seed_of(alice.node)
    assert len(alice.lease_seed) == 20
    assert alice.public_key != alice.exchange_public


def test_two_nodes_agree_on_a_secret_nobody_else_has():
    assert alice.agree(bob.exchange_public) == bob.agree(alice.exchange_public)


@pytest.mark.parametrize(
    "node", ["", "v0-", "v0-aaaa", "v1-" + alice.node[3:], alice.node.upper(), alice.node + "a", alice.node[:-1] + "9"]
)
def test_a_malformed_node_id_is_named(node):
    with pytest.raises(BadMessage):
        public_key_of(NodeId(node))


def test_seeds_and_secrets_have_their_lengths():
    with pytest.raises(ValueError, match="32"):
        Identity.from_seed(b"short")
    with pytest.raises(ValueError, match="32"):
        GridKey.from_seed(b"short")
    with pytest.raises(BadConfiguration):
        GridAccess("grid", b"short")
    with pytest.raises(BadConfiguration):
        Settings(message_bytes=100)
    assert "jjj" not in repr(GridAccess("grid", b"j" * 32))


def test_a_signature_is_verified_whether_remembered_or_not():
    for message in (b"small", b"x" * 100_000):
        signature = alice.sign(message)
        for _ in range(2):
            assert verify(alice.public_key, message, signature)
            assert not verify(bob.public_key, message, signature)
            assert not verify(alice.public_key, message + b"!", signature)
    assert not verify(b"no key", b"", b"no signature")


def test_an_announcement_travels_whole():
    signed = sign_announcement(alice, announcement())
    assert open_announcement(signed) == announcement()
    assert open_announcement(signed) == announcement()


def test_a_node_announces_itself_only():
    with pytest.raises(ValueError, match="itself"):
        sign_announcement(bob, announcement())


def test_any_changed_byte_makes_an_announcement_nobodys():
    signed = sign_announcement(alice, announcement())
    for place in range(len(signed)):
        changed = bytearray(signed)
        changed[place] ^= 1
        with pytest.raises(BadMessage):
            open_announcement(bytes(changed))


def test_an_announcement_longer_than_anybody_takes_is_neither_made_nor_read():
    with pytest.raises(ValueError, match="bytes"):
        sign_announcement(alice, announcement(nickname="n" * LONGEST_ANNOUNCEMENT))
    with pytest.raises(BadMessage):
        open_announcement(b"x" * (LONGEST_ANNOUNCEMENT + 1))


def test_what_was_signed_for_one_purpose_is_nothing_for_another():
    presence = sign_presence(alice, 1, online=True)
    with pytest.raises(BadMessage, match="expected"):
        open_announcement(presence)
    with pytest.raises(BadMessage, match="expected"):
        open_presence(alice.node, sign_announcement(alice, announcement()))
    with pytest.raises(BadMessage, match="expected"):
        open_statement(alice.public_key, presence)


def test_presence_is_said_by_the_node_itself():
    assert open_presence(alice.node, sign_presence(alice, 7, online=False)) == (7, False)
    with pytest.raises(BadMessage):
        open_presence(bob.node, sign_presence(alice, 7, online=True))


def test_only_the_grid_key_makes_statements():
    grid = GridKey.from_seed(b"g" * 32)
    statement = GridStatement("encoding", 3, encode_encoding(Encoding(2, 3, 4)))
    signed = sign_statement(grid, statement)
    assert open_statement(grid.public_key, signed) == statement
    assert decode_encoding(statement.value) == Encoding(2, 3, 4)
    assert grid.grid_id == grid_id_of(grid.public_key)
    with pytest.raises(BadMessage):
        open_statement(GridKey.from_seed(b"h" * 32).public_key, signed)


@pytest.mark.parametrize("encoding", [Encoding(0, 1, 1), Encoding(3, 2, 10), Encoding(3, 11, 10), Encoding(3, 7, 256)])
def test_impossible_encoding_parameters_are_refused(encoding):
    with pytest.raises(BadMessage):
        decode_encoding(encode_encoding(encoding))


def test_garbage_is_a_bad_message():
    for data in (b"", b"\xc1", b"\x93\xa1x\xc4\x00\xc4\x00", b"\x90"):
        with pytest.raises(BadMessage):
            open_announcement(data)
    with pytest.raises(BadMessage):
        decode_encoding(b"\xc1")
