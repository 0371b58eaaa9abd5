"""What every Context must do: one suite for the simulator's and the grid's.

A runtime's test module subclasses ``ContextConformance`` and gives it a fixture ``bench``: two nodes,
``alice`` with no actor of interest and ``bob`` with an ``Oracle``, able to reach each other.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import pytest

from tahoe.context import Actor, AskEach, Context, Errand, TimedOut, handles
from tahoe.errors import NoSpace, Refused, Unanswered
from tahoe.protocol import (
    INTRODUCER,
    STORAGE,
    AddLeases,
    Address,
    Close,
    Closed,
    HaveShares,
    NodeId,
    ReadShare,
    RosterChanged,
    ShareBytes,
)

PATIENCE = 10.0
"""Seconds that nothing should ever take here."""
SHORT = 0.2
"""Seconds that some tests wait in vain."""

ECHO, REFUSE, FULL, SILENT, BROKEN = range(5)
"""What a ``ReadShare`` of this share number gets from the oracle."""

INDEX = b"i" * 16


class Oracle(Actor):
    """A storage server in name only: answers, refuses or keeps silent as it is asked to."""

    role = STORAGE

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.told: list[object] = []
        self.closed: list[int] = []
        self.given_up = 0
        self.heard = ctx.queue()
        self.started = False

    async def start(self) -> None:
        await self.ctx.sleep(0.001)
        self.started = True

    @handles(ReadShare)
    async def read_share(self, sender: NodeId, request: ReadShare) -> ShareBytes:
        assert self.started
        match request.number:
            case 0:
                return ShareBytes(sender.encode()[: request.length])
            case 1:
                raise Refused("no-such-share", "look elsewhere")
            case 2:
                raise NoSpace("not a byte left")
            case 3:
                try:
                    await self.ctx.sleep(1000.0)
                finally:
                    self.given_up += 1
                    self.heard.put_nowait("given up")
        raise ValueError("a bug")

    @handles(Close)
    async def close(self, sender: NodeId, request: Close) -> Closed:
        self.closed.extend(request.numbers)
        return Closed(request.numbers)

    @handles(RosterChanged)
    async def roster_changed(self, sender: NodeId, message: RosterChanged) -> None:
        self.told.append(message)
        self.heard.put_nowait(sender)


class Bench(Protocol):
    """A runtime under test."""

    oracle: Oracle
    bob: Address

    def run(self, story: Callable[[Context], Coroutine[Any, Any, Any]]) -> Any:
        """Run a story as one of alice's and return what it returns."""

    def failure_of(self, story: Callable[[Context], Coroutine[Any, Any, Any]]) -> BaseException:
        """Run a story and return the error of a spawned story that this runtime reported loudly meanwhile."""


def read(kind: int, length: int = 1000) -> ReadShare:
    return ReadShare(INDEX, kind, 0, length)


def increase(number: int) -> int:
    return number + 1


def fail(message: str) -> None:
    raise NoSpace(message)


class ContextConformance:
    """The suite. Subclasses provide the fixture ``bench``."""

    # --- asking and telling ---------------------------------------------------------------------

    def test_an_ask_returns_what_the_other_nodes_handler_answered(self, bench):
        async def story(ctx):
            return ctx.name, await ctx.ask(bench.bob, read(ECHO), timeout=PATIENCE)

        name, answer = bench.run(story)
        assert answer == ShareBytes(name.encode())

    def test_a_refusal_is_raised_with_code_and_reason(self, bench):
        async def story(ctx):
            with pytest.raises(Refused) as caught:
                await ctx.ask(bench.bob, read(REFUSE), timeout=PATIENCE)
            return caught.value

        refused = bench.run(story)
        assert (refused.code, refused.reason) == ("no-such-share", "look elsewhere")

    def test_a_world_error_in_a_handler_becomes_a_refusal_named_after_it(self, bench):
        async def story(ctx):
            with pytest.raises(Refused) as caught:
                await ctx.ask(bench.bob, read(FULL), timeout=PATIENCE)
            return caught.value

        assert bench.run(story).code == "NoSpace"

    def test_silence_ends_unanswered_when_the_time_is_over_and_not_before(self, bench):
        async def story(ctx):
            begun = ctx.now()
            with pytest.raises(Unanswered):
                await ctx.ask(bench.bob, read(SILENT), timeout=SHORT)
            return ctx.now() - begun

        assert SHORT * 0.99 <= bench.run(story) < PATIENCE

    def test_a_message_that_no_handler_is_for_is_refused(self, bench):
        async def story(ctx):
            with pytest.raises(Refused) as caught:
                await ctx.ask(bench.bob, AddLeases(()), timeout=PATIENCE)
            return caught.value

        assert bench.run(story).code == "unknown-message"

    def test_a_role_that_the_node_does_not_have_refuses(self, bench):
        async def story(ctx):
            with pytest.raises(Refused):
                await ctx.ask(Address(bench.bob.node, INTRODUCER), HaveShares(()), timeout=PATIENCE)

        bench.run(story)

    def test_a_node_can_ask_itself(self, bench):
        async def story(ctx):
            ours = bench.oracle.ctx
            answer = await ours.ask(Address(ours.name, STORAGE), read(ECHO), timeout=PATIENCE)
            with pytest.raises(Refused):
                await ours.ask(Address(ours.name, STORAGE), read(REFUSE), timeout=PATIENCE)
            with pytest.raises(Unanswered):
                await ours.ask(Address(ours.name, STORAGE), read(SILENT), timeout=SHORT)
            return ours.name, answer

        name, answer = bench.run(story)
        assert answer == ShareBytes(name.encode())

    def test_what_is_told_arrives(self, bench):
        async def story(ctx):
            ctx.tell(bench.bob, RosterChanged((b"news",)))
            return ctx.name, await bench.oracle.heard.get(PATIENCE)

        name, sender = bench.run(story)
        assert sender == name
        assert bench.oracle.told == [RosterChanged((b"news",))]

    def test_many_asks_at_once_are_each_answered_and_executed_once(self, bench):
        async def story(ctx):
            answers = ctx.queue()
            for number in range(40):
                ctx.ask_into(answers, number, bench.bob, Close(INDEX, b"", (number,)), timeout=PATIENCE)
            return [await answers.get(PATIENCE) for _ in range(40)]

        outcomes = bench.run(story)
        assert sorted(outcomes) == [(number, Closed((number,))) for number in range(40)]
        assert sorted(bench.oracle.closed) == list(range(40))

    def test_asking_into_a_queue_brings_failures_as_values(self, bench):
        async def story(ctx):
            outcomes = ctx.queue()
            ctx.ask_into(outcomes, "refused", bench.bob, read(REFUSE), timeout=PATIENCE)
            ctx.ask_into(outcomes, "silent", bench.bob, read(SILENT), timeout=SHORT)
            return dict([await outcomes.get(PATIENCE), await outcomes.get(PATIENCE)])

        outcomes = bench.run(story)
        assert isinstance(outcomes["refused"], Refused)
        assert isinstance(outcomes["silent"], Unanswered)

    def test_cancelling_an_ask_stops_the_handler_and_drops_the_outcome(self, bench):
        async def story(ctx):
            outcomes = ctx.queue()
            task = ctx.ask_into(outcomes, "key", bench.bob, read(SILENT), timeout=PATIENCE)
            await ctx.ask(bench.bob, read(ECHO), timeout=PATIENCE)
            task.cancel()
            task.cancel()
            await bench.oracle.heard.get(PATIENCE)
            return len(outcomes)

        assert bench.run(story) == 0
        assert bench.oracle.given_up == 1

    def test_a_handler_stops_when_the_time_of_its_asker_is_over(self, bench):
        async def story(ctx):
            with pytest.raises(Unanswered):
                await ctx.ask(bench.bob, read(SILENT), timeout=SHORT)
            return await bench.oracle.heard.get(PATIENCE)

        assert bench.run(story) == "given up"

    # --- gathering ------------------------------------------------------------------------------

    def test_a_gathering_yields_every_outcome_under_the_callers_keys(self, bench):
        async def story(ctx):
            errands = [Errand("a", bench.bob, read(ECHO)), Errand("b", bench.bob, read(REFUSE))]
            found = {}
            async with AskEach(ctx, errands, timeout=PATIENCE) as outcomes:
                async for key, outcome in outcomes:
                    found[key] = outcome
                    if key == "a":
                        outcomes.add(Errand("c", bench.bob, read(ECHO)))
            return found

        found = bench.run(story)
        assert {key: type(outcome) for key, outcome in found.items()} == {
            "a": ShareBytes,
            "b": Refused,
            "c": ShareBytes,
        }

    def test_leaving_a_gathering_early_cancels_what_is_still_out(self, bench):
        async def story(ctx):
            errands = [Errand(kind, bench.bob, read(kind)) for kind in (ECHO, SILENT)]
            async with AskEach(ctx, errands, timeout=PATIENCE) as outcomes:
                async for _ in outcomes:
                    break
            return await bench.oracle.heard.get(PATIENCE)

        assert bench.run(story) == "given up"

    # --- time and stories -----------------------------------------------------------------------

    def test_sleep_lets_the_clock_move_on_by_as_much(self, bench):
        async def story(ctx):
            begun, wall = ctx.now(), ctx.wall_time()
            await ctx.sleep(0.05)
            return ctx.now() - begun, ctx.wall_time() - wall

        slept, wall = bench.run(story)
        assert 0.045 <= slept < PATIENCE
        assert 0.04 <= wall < PATIENCE

    def test_a_spawned_story_begins_only_when_its_parent_waits(self, bench):
        async def story(ctx):
            seen = []

            async def child():
                seen.append("child")

            ctx.spawn(child())
            seen.append("parent")
            await ctx.sleep(0)
            return seen

        assert bench.run(story) == ["parent", "child"]

    def test_putting_into_a_queue_does_not_run_its_reader_in_the_middle_of_the_writers_statement(self, bench):
        async def story(ctx):
            queue, seen = ctx.queue(), []

            async def reader():
                seen.append(await queue.get())

            ctx.spawn(reader())
            await ctx.sleep(0)
            queue.put_nowait("item")
            seen.append("put")
            await ctx.sleep(SHORT)
            return seen

        assert bench.run(story) == ["put", "item"]

    def test_cancelling_a_task_runs_its_cleanup_once_and_is_idempotent(self, bench):
        async def story(ctx):
            ends = []

            async def child():
                try:
                    await ctx.sleep(1000.0)
                finally:
                    ends.append("cleaned up")

            task = ctx.spawn(child())
            await ctx.sleep(0)
            task.cancel()
            task.cancel()
            await ctx.sleep(SHORT)
            task.cancel()
            return ends

        assert bench.run(story) == ["cleaned up"]

    def test_a_task_cancelled_before_it_began_never_begins(self, bench):
        async def story(ctx):
            seen = []

            async def child():
                seen.append("began")

            ctx.spawn(child()).cancel()
            await ctx.sleep(SHORT)
            return seen

        assert bench.run(story) == []

    def test_a_failure_that_nobody_waits_for_is_loud(self, bench):
        async def story(ctx):
            async def child():
                raise ZeroDivisionError("found me")

            ctx.spawn(child())
            await ctx.sleep(SHORT)

        assert "found me" in str(bench.failure_of(story))

    # --- queues ---------------------------------------------------------------------------------

    def test_a_queue_is_first_in_first_out_and_knows_its_length(self, bench):
        async def story(ctx):
            queue = ctx.queue()
            for item in range(3):
                await queue.put(item)
            return len(queue), [await queue.get() for _ in range(3)], len(queue)

        assert bench.run(story) == (3, [0, 1, 2], 0)

    def test_waiting_at_an_empty_queue_times_out(self, bench):
        async def story(ctx):
            begun = ctx.now()
            with pytest.raises(TimedOut):
                await ctx.queue().get(timeout=SHORT)
            return ctx.now() - begun

        assert SHORT * 0.99 <= bench.run(story) < PATIENCE

    def test_a_bounded_queue_makes_its_writer_wait_for_room(self, bench):
        async def story(ctx):
            queue, seen = ctx.queue(bound=1), []

            async def writer():
                for item in range(3):
                    await queue.put(item)
                    seen.append(f"put {item}")

            ctx.spawn(writer())
            await ctx.sleep(SHORT)
            seen.append("reads")
            taken = [await queue.get(PATIENCE) for _ in range(3)]
            return seen[:2], taken

        assert bench.run(story) == (["put 0", "reads"], [0, 1, 2])

    def test_an_item_is_not_lost_with_a_reader_that_is_cancelled_as_it_comes(self, bench):
        async def story(ctx):
            queue, seen = ctx.queue(), []

            async def reader(name):
                seen.append((name, await queue.get()))

            first = ctx.spawn(reader("first"))
            ctx.spawn(reader("second"))
            await ctx.sleep(SHORT / 4)
            queue.put_nowait("item")
            first.cancel()
            await ctx.sleep(SHORT / 4)
            return seen

        assert bench.run(story) == [("second", "item")]

    # --- work and state -------------------------------------------------------------------------

    def test_computing_returns_what_the_function_returns_and_raises_what_it_raises(self, bench):
        async def story(ctx):
            with pytest.raises(NoSpace, match="none"):
                await ctx.compute(fail, "none")
            return await ctx.compute(increase, 1)

        assert bench.run(story) == 2

    def test_state_is_what_was_last_put(self, bench):
        async def story(ctx):
            before = await ctx.state.get("epoch")
            await ctx.state.put("epoch", b"1")
            await ctx.state.put("epoch", b"2")
            return before, await ctx.state.get("epoch")

        assert bench.run(story) == (None, b"2")

    def test_a_connected_node_is_present(self, bench):
        async def story(ctx):
            await ctx.ask(bench.bob, read(ECHO), timeout=PATIENCE)
            return ctx.presence(bench.bob.node)

        assert bench.run(story) is True

    def test_an_announcement_is_bytes_that_stay_the_same_while_the_facts_do(self, bench):
        async def story(ctx):
            return ctx.announcement(), ctx.announcement()

        first, second = bench.run(story)
        assert first == second
