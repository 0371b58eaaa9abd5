"""``tahoe care delegate`` signs what servers believe."""

from __future__ import annotations

import time

import pytest
from click.testing import CliRunner

from tahoe.cli.care import delegate
from tahoe.cli.delegating import signed_delegation
from tahoe.net.directory import LAYOUT_FORMAT
from tahoe.net.keys import save_secret
from tahoe.protocol import NodeId
from tahoe.session.delegation import ROOTS_ACCOUNT, account_of, open_delegation, parse_delegation
from tahoe.session.identity import GridKey, Identity

OWNER, FRIEND = (Identity.from_seed(bytes([number]) * 32) for number in (1, 2))
GRID = GridKey.from_seed(bytes([3]) * 32)


@pytest.fixture
def directory(tmp_path):
    save_secret(tmp_path / "node.key", bytes([1]) * 32)
    (tmp_path / "format").write_text(LAYOUT_FORMAT)
    return tmp_path


def test_an_account_is_delegated_for_as_long_as_was_said(directory):
    done = CliRunner().invoke(delegate, [FRIEND.node, "--for", "30d", "-d", str(directory)])
    assert done.exit_code == 0, done.output
    signed = parse_delegation(done.output)
    found = open_delegation(GRID.public_key, signed)
    assert (found.account, found.delegate) == (OWNER.node, FRIEND.node)
    assert abs(found.expires - time.time() - 30 * 86400) < 60
    assert account_of(GRID.public_key, signed, FRIEND.node, time.time()) == OWNER.node


def test_the_grid_key_delegates_the_account_of_the_named_roots(directory, tmp_path):
    save_secret(tmp_path / "grid-key", bytes([3]) * 32)
    text = signed_delegation(directory, FRIEND.node, 100.0, tmp_path / "grid-key")
    assert open_delegation(GRID.public_key, parse_delegation(text)).account == ROOTS_ACCOUNT


def test_who_is_no_node_gets_none(directory):
    done = CliRunner().invoke(delegate, [NodeId("v0-nobody"), "-d", str(directory)])
    assert done.exit_code == 2
    assert "no node id" in done.output
