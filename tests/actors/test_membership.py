"""Introducers and membership: who hears of whom, what is believed, and what survives."""

from __future__ import annotations

import pytest

from tahoe.actors.introducer import Introducer
from tahoe.actors.ledger import Ledger
from tahoe.actors.membership import EncodingBounds
from tahoe.errors import BadConfiguration, Refused
from tahoe.protocol import INTRODUCER, MEMBER, Announcement, Encoding, Join, NodeId, RosterChanged
from tahoe.session.identity import GridKey, Identity
from tahoe.session.statement import (
    ENCODING_STATEMENT,
    GridStatement,
    encode_encoding,
    sign_announcement,
    sign_statement,
)
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid

MINUTE = 60.0


@pytest.fixture(params=["wire", "message"])
def grid(request):
    return SimGrid(seed=1, servers=4, options=GridOptions(fidelity=request.param))


def _announcement(identity: Identity, *, epoch: int, sequence: int = 0, nickname: str = "someone") -> bytes:
    announcement = Announcement(
        node=identity.node,
        exchange_key=identity.exchange_public,
        roles=(),
        nickname=nickname,
        location="",
        capacity=0,
        available=0,
        protocol_versions=(1, 1),
        software="test",
        epoch=epoch,
        sequence=sequence,
    )
    return sign_announcement(identity, announcement)


def _introducer(grid: SimGrid) -> Introducer:
    return grid.node("introducer-0").actor(INTRODUCER)


def _servers_known(grid: SimGrid) -> list[NodeId]:
    return sorted(server.node for server in grid.clients[0].actor(MEMBER).servers())


def test_a_client_hears_of_every_server_that_joins(grid):
    assert _servers_known(grid) == sorted(node.name for node in grid.servers)


def test_a_server_that_comes_back_with_a_newer_epoch_is_told_to_everybody(grid):
    before = {item.node: item.age for item in grid.clients[0].actor(MEMBER).announcements()}
    grid.crash("server-2")
    grid.restart("server-2")
    grid.run(2 * MINUTE)
    after = {item.node: item.age for item in grid.clients[0].actor(MEMBER).announcements()}
    assert after[grid.node("server-2").name] > before[grid.node("server-2").name]


def test_with_every_introducer_down_a_restarted_client_still_knows_the_servers(grid):
    known = _servers_known(grid)
    grid.crash("introducer-0", "client-0")
    grid.restart("client-0")
    grid.run(MINUTE)
    assert _servers_known(grid) == known
    status = grid.clients[0].actor(MEMBER).introducers()
    assert [introducer.connected for introducer in status] == [False]
    assert status[0].problem


def test_a_restarted_introducer_serves_the_same_roster_and_is_joined_again(grid):
    grid.crash("introducer-0")
    grid.restart("introducer-0")
    grid.run(1.0)
    assert {entry.announcement.node for entry in _introducer(grid).ledger.nodes.values()} >= set(_servers_known(grid))
    grid.run(3 * MINUTE)
    assert set(_introducer(grid).subscribers) == {node.name for node in [*grid.servers, *grid.clients]}


def test_a_node_announces_itself_only(grid):
    stranger = Identity.from_seed(b"s" * 32)
    join = Join(_announcement(stranger, epoch=5))
    with pytest.raises(Refused, match="not-yours"):
        grid.run(grid.node("introducer-0").observe(_introducer(grid).receive(grid.clients[0].name, join)))
    assert stranger.node not in _introducer(grid).ledger.nodes


def test_a_stale_announcement_is_refused_and_the_newer_one_stands_across_a_restart(grid):
    someone = Identity.from_seed(b"s" * 32)

    def join(epoch: int) -> None:
        message = Join(_announcement(someone, epoch=epoch))
        grid.run(grid.node("introducer-0").observe(_introducer(grid).receive(someone.node, message)))

    join(5)
    grid.crash("introducer-0")
    grid.restart("introducer-0")
    grid.run(1.0)
    with pytest.raises(Refused, match="stale"):
        join(4)
    join(5)
    assert _introducer(grid).ledger.nodes[someone.node].announcement.epoch == 5
    assert _introducer(grid).ledger.dropped["stale-announcement"] == 1


def test_a_newcomer_whose_first_join_was_broken_off_while_it_was_written_down_is_told_by_the_next(grid):
    someone = Identity.from_seed(b"s" * 32)
    join = Join(_announcement(someone, epoch=5))
    introducer = grid.node("introducer-0")

    story = grid.world.spawn(_introducer(grid).receive(someone.node, join), introducer.running.life)
    while someone.node not in _introducer(grid).ledger.nodes:
        story.step()
    story.cancel()  # as the asker does whose patience ends, or the line that brings a late join and its end together
    grid.run(1.0)
    grid.run(introducer.observe(_introducer(grid).receive(someone.node, join)))
    grid.run(1.0)
    assert someone.node in {known.node for known in grid.clients[0].actor(MEMBER).announcements()}


def test_forged_announcements_are_dropped_and_counted(grid):
    member = grid.clients[0].actor(MEMBER)
    genuine = _announcement(Identity.from_seed(b"s" * 32), epoch=5)
    forged = bytearray(genuine)
    forged[-1] ^= 1
    known = len(member.announcements())
    grid.run(member.receive(grid.servers[0].name, RosterChanged((bytes(forged), b"junk"))))
    assert len(member.announcements()) == known
    assert member.ledger.dropped["forged-announcement"] == 2


def test_statements_count_only_when_the_grid_key_signed_them_and_only_the_newest():
    grid = SimGrid(seed=2, servers=1)
    member = grid.clients[0].actor(MEMBER)
    theirs = GridKey.from_seed(b"k" * 32)

    def statement(key: GridKey, sequence: int, encoding: Encoding) -> bytes:
        return sign_statement(key, GridStatement(ENCODING_STATEMENT, sequence, encode_encoding(encoding), False))

    forged = statement(theirs, 99, Encoding(1, 1, 1))
    grid.run(member.receive(grid.servers[0].name, RosterChanged((), (forged,))))
    assert member.encoding() == Encoding(3, 7, 10)

    ledger = Ledger(member.ctx, theirs.public_key)
    newer, older = statement(theirs, 3, Encoding(2, 3, 4)), statement(theirs, 2, Encoding(1, 1, 2))
    news = grid.run(ledger.learn((), (newer, older)))
    assert news.statements == (newer,)
    assert ledger.dropped["stale-statement"] == 1


@pytest.mark.parametrize(
    "encoding", [Encoding(3, 2, 10), Encoding(1, 5, 100), Encoding(0, 3, 3), Encoding(5, 5, 4), Encoding(3, 11, 10)]
)
def test_encoding_parameters_out_of_the_clients_bounds_are_refused(encoding):
    with pytest.raises(BadConfiguration, match=r"encoding"):
        EncodingBounds(lowest_happy=3, most_expansion=10).check(encoding)


def test_a_roster_too_long_for_a_message_arrives_in_parts():
    grid = SimGrid(seed=3, servers=1)
    introducer = _introducer(grid)
    crowd = [
        _announcement(Identity.from_seed(number.to_bytes(32, "big")), epoch=1, nickname="n" * 2000)
        for number in range(150)
    ]
    grid.run(grid.node("introducer-0").observe(introducer.ledger.learn(crowd)))
    grid.crash("introducer-0")
    grid.restart("introducer-0")
    grid.run(3 * MINUTE)
    assert len(grid.clients[0].actor(MEMBER).announcements()) >= 150
