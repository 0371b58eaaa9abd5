"""A crash ends an incarnation in the middle of what it does, and nothing of it reaches the world any more."""

from __future__ import annotations

import gc

import pytest

from tahoe.context import Actor, handles
from tahoe.errors import Unanswered
from tahoe.protocol import CLIENT, STORAGE, Address, Close, Closed, RosterChanged
from tahoe.sim.prices import Price, register_price
from tahoe.sim.story import Crashed
from tahoe.sim.world import Stuck
from tests.sim.support import make_nodes


class Counter(Actor):
    role = STORAGE

    def __init__(self, ctx):
        super().__init__(ctx)
        self.closed = 0
        self.told = 0

    @handles(Close)
    async def close(self, sender, request):
        self.closed += 1
        await self.ctx.sleep(1.0)
        return Closed(request.numbers)

    @handles(RosterChanged)
    async def roster_changed(self, sender, message):
        self.told += 1


@pytest.fixture
def nodes():
    nodes = make_nodes("crash", {"server": lambda context: (Counter(context(STORAGE)),), "client": lambda _: ()})
    return nodes["server"], nodes["client"]


@pytest.fixture
def world(nodes):
    return nodes[0].world


def hands(node):
    """The Context of an actor in the node's present incarnation."""
    return node.running.context(CLIENT)


def address(node):
    return Address(node.name, STORAGE)


def test_a_crashed_stories_cleanup_reaches_nobody(world, nodes):
    server, client = nodes
    ctx = hands(client)
    effects = []

    async def story():
        try:
            await ctx.sleep(100.0)
        finally:
            ctx.tell(address(server), RosterChanged(()))
            ctx.ask_into(ctx.queue(), 0, address(server), Close(b"", b"", ()), timeout=1.0)
            ctx.spawn(another())
            await ctx.state.put("name", b"value")
            effects.append("state")

    async def another():
        effects.append("spawned")

    ctx.spawn(story())
    world.run(1.0)
    client.crash()
    gc.collect()
    world.run(10.0)
    counter = server.actor(STORAGE)
    assert (counter.told, counter.closed, effects, client.state) == (0, 0, [], {})


def test_a_story_that_swallows_its_crash_still_does_nothing_more(world, nodes):
    _, client = nodes
    ctx = hands(client)
    seen = []

    async def stubborn():
        while True:
            try:
                await ctx.sleep(1.0)
                seen.append("slept")
            except BaseException:  # noqa: BLE001  # it is the point
                await ctx.compute(seen.append, "computed")

    ctx.spawn(stubborn())
    world.run(1.5)
    client.crash()
    world.run(10.0)
    assert seen == ["slept"]


def test_work_that_was_not_finished_at_the_crash_was_never_done(world, nodes):
    server, _ = nodes
    ctx = hands(server)
    disk = []

    def write(value):
        disk.append(value)

    register_price(write, Price(2.0))

    async def story():
        await ctx.compute(write, 1)
        await ctx.compute(write, 2)

    ctx.spawn(story())
    world.run(3.0)
    server.crash()
    world.run(10.0)
    assert disk == [1]


def test_a_state_write_under_way_at_the_crash_leaves_the_old_value(world, nodes):
    _, client = nodes
    ctx = hands(client)

    async def story():
        await ctx.state.put("name", b"old")
        await ctx.sleep(1.0)
        await ctx.state.put("name", b"new")

    ctx.spawn(story())
    world.run(1.0015)
    client.crash()
    world.run(1.0)
    assert client.state == {"client/name": b"old"}


def test_state_survives_a_crash_and_memory_does_not(world, nodes):
    server, _ = nodes
    server.actor(STORAGE).closed = 7
    world.run(server.observe(hands(server).state.put("name", b"value")))
    server.crash()
    server.boot()
    assert world.run(server.observe(hands(server).state.get("name"))) == b"value"
    assert server.actor(STORAGE).closed == 0


def test_asking_a_crashed_node_ends_unanswered(world, nodes):
    server, client = nodes
    ctx = hands(client)
    answer = client.observe(ctx.ask(address(server), Close(b"", b"", (1,)), timeout=5.0))
    world.run(0.5)
    server.crash()
    with pytest.raises(Unanswered):
        world.run(answer)


def test_the_answer_to_a_question_of_an_earlier_incarnation_is_nobodys(world, nodes):
    server, client = nodes
    ctx = hands(client)
    answer = client.observe(ctx.ask(address(server), Close(b"", b"", (1,)), timeout=5.0))
    world.run(0.5)
    client.crash()
    client.boot()
    world.run(5.0)
    assert server.actor(STORAGE).closed == 1
    with pytest.raises(Crashed):
        answer.result()


def test_what_is_to_happen_at_a_time_never_happens_before_it(world):
    late = []
    for step in range(2000):
        when = 1.0072531727388057 + step * 0.37
        world.at(when, lambda when=when: late.append(world.now() >= when))
    world.run(1000.0)
    assert late == [True] * 2000


def test_waiting_for_what_nothing_will_bring_is_an_error_and_no_hang(world):
    world.close()
    with pytest.raises(Stuck):
        world.run(world.promise())


def test_awaiting_something_foreign_fails_with_a_word_that_helps(world, nodes):
    _, client = nodes

    class Foreign:
        def __await__(self):
            yield "a future of another kind"

    async def story():
        await Foreign()

    with pytest.raises(TypeError, match="only await what its Context gives"):
        world.run(client.observe(story()))


def test_closing_the_world_unwinds_every_story_at_once(world, nodes):
    _, client = nodes
    ctx = hands(client)
    ends = []

    async def story():
        try:
            await ctx.sleep(100.0)
        finally:
            ends.append("unwound")
            await ctx.sleep(1.0)
            ends.append("never")

    ctx.spawn(story())
    world.run(1.0)
    world.close()
    assert ends == ["unwound"]
