"""What a client has seen of servers outlives its restart."""

from __future__ import annotations

import pytest

from tahoe.actors.history import KEEP_EVERY, LOOK_EVERY, UPTIME, Historian
from tahoe.actors.readingroom import ReadingRoom
from tahoe.policy.uptime import GONE, THERE, UNSEEN, UptimeLog
from tests.actors.rig import Rig, content


class Known:
    """The membership, as far as a historian needs it."""

    def __init__(self, rig) -> None:
        self.rig = rig

    def servers(self):
        return tuple(self.rig.roster)


@pytest.fixture
def rig():
    rig = Rig(servers=10)
    rig.ctx.presence = lambda node: node not in rig.gone
    return rig


def historian(rig) -> Historian:
    made = Historian(rig.ctx, Known(rig))
    rig.run(made.start())
    return made


def test_uptime_is_seen_kept_and_gone_on_with(rig):
    first = historian(rig)
    node = rig.roster[3].node
    rig.wait(5 * LOOK_EVERY)
    rig.gone[node] = None
    rig.wait(KEEP_EVERY * LOOK_EVERY)
    assert [stretch.state for stretch in first.uptime.stretches(node, rig.ctx.wall_time())] == [THERE, GONE]
    kept = UptimeLog.unpack(rig.run(rig.ctx.state.get(UPTIME)))
    assert len(kept.nodes()) == 10
    rig.gone.clear()
    second = historian(rig)
    rig.wait(3 * LOOK_EVERY)
    states = [stretch.state for stretch in second.uptime.stretches(node, rig.ctx.wall_time())]
    assert states[:2] == [THERE, GONE]
    assert states[-1] == THERE


def test_what_downloads_learn_is_kept(rig):
    first = historian(rig)
    capability = rig.put(content(5000)).capability
    liar = next(machine for machine in rig.servers if rig.store(machine.name).shares(capability.storage_index))
    liar.down = True
    rig.get(capability, room=ReadingRoom(times=first.history))
    rig.wait(KEEP_EVERY * LOOK_EVERY)
    second = historian(rig)
    answered = [server.node for server in rig.roster if second.history.expected(server.node) is not None]
    assert answered
    assert all(second.history.expected(node) == first.history.expected(node) for node in answered)


def test_a_damaged_log_is_begun_anew(rig):
    rig.run(rig.ctx.state.put(UPTIME, b"junk"))
    rig.run(rig.ctx.state.put("history", b"junk"))
    made = historian(rig)
    rig.wait(2 * LOOK_EVERY)
    assert len(made.uptime.nodes()) == 10
    assert UNSEEN not in [each.state for each in made.uptime.stretches(rig.roster[0].node, rig.ctx.wall_time())]
