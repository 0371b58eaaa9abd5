"""The simulated world: one clock, one seed, one run queue.

simpy keeps the clock and the heap of things to come. Everything else here exists so that a run is
quick and the same every time:

* After each simpy event the *run queue* is drained: stories whose promises were resolved go on, in
  the order in which that happened.
* *Deadlines are shared.* Nearly every wait has a time-out, nearly none of them fires, and there are few
  different lengths. Per length there is one FIFO (equal lengths expire in the order they began) and one
  armed timer for its head, instead of one entry in the heap per wait. This halves the cost of an ask.
* *Randomness* comes from ``World.random(name)``, a stream per name derived from the seed, so that one
  node more or less does not disturb what the others draw.
* *Ties* between events of the same moment are broken by the order in which they came up, or by the seed, to try other
  orders that the real world could as well have taken.
* *Failures are loud.* A story that dies of something nobody waits for stops the run with that error.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Coroutine
from math import ulp
from random import Random
from typing import Any, Final, TypeVar, cast

import simpy
from simpy.events import NORMAL

from tahoe.sim.story import Cancelled, Crashed, Life, Promise, Story
from tahoe.sim.trace import Trace

T = TypeVar("T")


class Expired:
    """The type of ``EXPIRED``, which a promise resolves to when its deadline passes first."""

    def __repr__(self) -> str:
        return "EXPIRED"


EXPIRED: Final = Expired()

TIE_SECONDS = 0.5e-9
"""How far events of the same moment may be drawn apart: less than packets that keep their order (``wire.NANOSECOND``)."""


class Stuck(AssertionError):
    """Nothing is left to happen, and what the run waits for has not come: a deadlock in the actors."""


class Happening(simpy.Event):
    """An event whose time is all that is left to wait for: at that time ``callbacks`` are called with it.

    It is made ready to happen, so scheduling one costs a push and nothing else. ``callbacks`` may be
    shared between many: simpy only ever reads it.
    """

    __slots__ = ("callbacks",)
    _ok = True
    _value = None

    def __init__(self, callbacks: list[Callable[[Any], None]]) -> None:  # an Event's own set-up is what we save
        self.callbacks = callbacks


class _Call(Happening):
    __slots__ = ("action", "arguments")

    def __init__(
        self, callbacks: list[Callable[[Any], None]], action: Callable[..., None], arguments: tuple[Any, ...]
    ) -> None:
        self.callbacks = callbacks
        self.action = action
        self.arguments = arguments


class Deadlines:
    """All waits of one length: a FIFO, because those that began first expire first, and one timer."""

    __slots__ = ("_armed", "_length", "_waits", "_world")

    def __init__(self, world: World, length: float) -> None:
        self._world = world
        self._length = length
        self._waits: deque[tuple[float, Promise[Any]]] = deque()
        self._armed = False

    def add(self, promise: Promise[Any]) -> None:
        """Resolve ``promise`` to ``EXPIRED`` after this length, unless it is resolved before."""
        waits = self._waits
        while waits and not waits[0][1].pending:
            waits.popleft()
        waits.append((self._world.time + self._length, promise))
        if not self._armed:
            self._arm()

    def _arm(self) -> None:
        self._armed = True
        self._world.at(self._waits[0][0], self._expire)

    def _expire(self) -> None:
        now = self._world.time
        waits = self._waits
        while waits and (waits[0][0] <= now or not waits[0][1].pending):
            waits.popleft()[1].resolve(EXPIRED)
        if waits:
            self._arm()
        else:
            self._armed = False
            self._world.drop_deadlines(self._length)


class _Observed(Story):
    """A story that somebody waits for."""

    __slots__ = ("_promise",)

    def __init__(self, coroutine: Coroutine[Any, Any, Any], life: Life, promise: Promise[Any]) -> None:
        super().__init__(coroutine, life)
        self._promise = promise

    def ended(self, value: Any) -> None:
        self._promise.resolve(value)

    def failed(self, error: BaseException) -> None:
        self._promise.reject(error)

    def cancelled(self, error: Cancelled) -> None:
        self._promise.reject(error)

    def unwind(self) -> None:
        super().unwind()
        self._promise.reject(Crashed())


class World:
    """Time, chance and the run queue of one simulation.

    Args:
        seed: what the run is named by; any value whose ``str`` is stable.
        traced: keep a trace of what happens.
        ties: let the seed decide about events of the same moment.

    Attributes:
        time: seconds since the world began. Every callback of an event begins by reading simpy's clock into it
            (``tick``), because the clock is looked at several times for each event.
        schedule: simpy's: puts an event into the heap.
        ready: the run queue.
        trace: what happened, if it is traced.
    """

    def __init__(self, seed: int | str, *, traced: bool = False, ties: bool = False) -> None:
        self.seed = seed
        self.environment = simpy.Environment()
        self.schedule: Callable[[simpy.Event, Any, float], None] = self.environment.schedule
        if ties:
            self._ties = self.random("ties").random
            self.schedule = self._schedule_nearly
        self.time = 0.0
        self._calls: list[Callable[[Any], None]] = [self._call]
        self.ready: deque[Any] = deque()
        self._deadlines: dict[float, Deadlines] = {}
        self._failures: list[BaseException] = []
        self._lives: dict[Life, None] = {}
        self.stalled = 0.0
        self.trace = Trace(self.now) if traced else None

    # --- time -----------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the world began."""
        return self.time

    def tick(self) -> float:
        """Read the clock: the first thing to do in the callback of an event."""
        self.time = self.environment.now
        return self.time

    def _call(self, call: _Call) -> None:
        self.time = self.environment.now
        call.action(*call.arguments)

    def after(self, delay: float, action: Callable[..., None], *arguments: Any) -> None:
        """Call ``action(*arguments)`` after ``delay`` seconds."""
        self.schedule(_Call(self._calls, action, arguments), NORMAL, max(0.0, delay))

    def at(self, when: float, action: Callable[..., None], *arguments: Any) -> None:
        """Call ``action(*arguments)`` at a time of this world, certainly not before (at once if it has passed)."""
        now = self.time
        delay = when - now
        if now + delay < when:  # a rounding error, and whoever waits for this time would find it not yet come
            delay += ulp(when)
        self.after(delay, action, *arguments)

    def _schedule_nearly(self, event: simpy.Event, priority: Any, delay: float) -> None:
        """Put an event into the heap, by less than a moment late: packets of one channel are a moment apart."""
        self.environment.schedule(event, priority, delay + self._ties() * TIE_SECONDS)

    def promise(self) -> Promise[Any]:
        """A new promise."""
        return Promise(self.ready.append)

    def expire(self, promise: Promise[Any], seconds: float) -> None:
        """Resolve ``promise`` to ``EXPIRED`` after so many seconds, unless it is resolved before."""
        deadlines = self._deadlines.get(seconds)
        if deadlines is None:
            deadlines = self._deadlines[seconds] = Deadlines(self, seconds)
        deadlines.add(promise)

    def drop_deadlines(self, length: float) -> None:
        """Forget the deadlines of a length that nobody waits for any more."""
        self._deadlines.pop(length, None)

    def stall(self, seconds: float) -> None:
        """Delay what runs now: said by something that can't wait by itself, as a slow disk under a store."""
        self.stalled += seconds

    # --- chance ---------------------------------------------------------------------------------

    def random(self, name: str) -> Random:
        """The stream of random numbers that belongs to a name."""
        return Random(f"{self.seed}/{name}")

    # --- stories --------------------------------------------------------------------------------

    def life(self) -> Life:
        """A new incarnation of something that tells stories."""
        life = Life(self.ready, self._failures.append)
        self._lives[life] = None
        return life

    def end(self, life: Life) -> None:
        """Shut the fence of a life."""
        self._lives.pop(life, None)
        life.end()

    def spawn(self, coroutine: Coroutine[Any, Any, Any], life: Life) -> Story:
        """Start a story that nobody waits for: a failure in it stops the run."""
        story = Story(coroutine, life)
        self.ready.append(story)
        return story

    def observe(self, coroutine: Coroutine[Any, Any, T], life: Life) -> Promise[T]:
        """Start a story and promise what it returns or raises."""
        promise: Promise[T] = Promise(self.ready.append)
        self.ready.append(_Observed(coroutine, life, promise))
        return promise

    def close(self) -> None:
        """End every life. What was under way is unwound behind the fence, now and not at collection."""
        for life in list(self._lives):
            self.end(life)

    # --- running --------------------------------------------------------------------------------

    def run(self, until: float | Promise[T]) -> T:
        """Let things happen until a promise is resolved, or for so many seconds.

        Returns:
            What the promise was resolved to (None for seconds).

        Raises:
            Stuck: nothing is left to happen, and the promise is still open.
        """
        goal = until if isinstance(until, Promise) else cast("Promise[T]", self._elapsed(until))
        ready, step = self.ready, self.environment.step
        while True:
            while ready:
                ready.popleft().step()
            if self._failures:
                self._fail()
            if not goal.pending:
                return goal.result()
            try:
                step()
            except simpy.core.EmptySchedule:
                raise Stuck("nothing is left to happen, and what the run waits for has not come") from None

    def _elapsed(self, seconds: float) -> Promise[None]:
        promise: Promise[None] = Promise(self.ready.append)
        self.after(seconds, promise.resolve, None)
        return promise

    def _fail(self) -> None:
        error = self._failures.pop(0)
        self._failures.clear()
        error.add_note(f"in a story nobody waits for, at {self.time:.6f} s of the run seeded {self.seed!r}")
        raise error


def settle_memory() -> None:
    """Tell the collector that what exists by now is here to stay.

    A large world holds millions of objects that never become garbage; scanning them again and again
    costs up to half of a run. Call it once the world is built.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
