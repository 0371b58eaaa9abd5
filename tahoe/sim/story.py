"""Stories and what they wait for: the smallest scheduler that behaves as asyncio does.

A story is a coroutine. The only thing that ever suspends one is a ``Promise`` of ours::

    story ── await promise ──► suspended ... promise.resolve(value) ──► run queue ──► story goes on

Resolving a promise never runs the waiting story at once, in the middle of somebody else's statement:
the story joins the world's run queue and goes on when what is running now has come to rest. asyncio
behaves in this way, and actors must not be able to tell the two apart.

Every story belongs to a ``Life``: one incarnation of a node. When the life ends, none of its stories
resumes; each is unwound on the spot, behind the fence, so that what its ``finally`` blocks do reaches
nobody, and does so at the same moment in every run rather than when the garbage collector comes by.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

UNWINDING_STEPS = 100
"""How many awaits a dying story may attempt in its ``finally`` blocks before it is simply dropped."""


class Cancelled(BaseException):
    """Thrown into a story where it waits, when its task is cancelled. Not an ``Exception``: let it pass."""


class Crashed(BaseException):
    """Thrown into every story of a node that crashed; nothing it still does has an effect."""


class Promise(Generic[T]):
    """A value that will be there later; awaited by at most one story. Only the first resolution counts."""

    __slots__ = ("_error", "_ready", "_value", "_waiter", "pending")

    def __init__(self, ready: Callable[[Story], None]) -> None:
        self._ready = ready
        self._value: Any = None
        self._error: BaseException | None = None
        self._waiter: Story | None = None
        self.pending = True

    def resolve(self, value: T) -> None:
        """Give the value; whoever waits goes on once what is running now has come to rest."""
        if self.pending:
            self.pending = False
            self._value = value
            if self._waiter is not None:
                self._ready(self._waiter)

    def reject(self, error: BaseException) -> None:
        """Let whoever awaits this fail with ``error``."""
        if self.pending:
            self._error = error
            self.resolve(None)  # type: ignore[arg-type]  # nobody reads the value of a rejected promise

    def result(self) -> T:
        """The value given, or the error raised."""
        assert not self.pending, "this promise is still open"
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]  # held as Any because it starts as None

    def __await__(self) -> Generator[Promise[T], None, T]:
        if self.pending:
            yield self
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]  # held as Any because it starts as None


class Life:
    """One incarnation of a node, as the fence that its stories live behind.

    Attributes:
        running: stories may take steps now; false while the node is paused and for ever after ``end``.
        alive: ``end`` has not been called.
    """

    __slots__ = ("_parked", "_ready", "alive", "failed", "running", "stories")

    def __init__(self, ready: deque[Any], failed: Callable[[BaseException], None]) -> None:
        self._ready = ready
        self._parked: deque[Any] = deque()
        self.failed = failed
        self.stories: dict[Story, None] = {}
        self.running = True
        self.alive = True

    def pause(self) -> None:
        """Stop taking steps, as a process does that was sent SIGSTOP."""
        self.running = False

    def resume(self) -> None:
        """Take up what has become due meanwhile, in order."""
        if self.alive and not self.running:
            self.running = True
            self._ready.extend(self._parked)
            self._parked.clear()

    def park(self, step: Any) -> None:
        """Keep a step (anything with ``step()``) that is due until ``resume``; the dead take no more steps."""
        if self.alive:
            self._parked.append(step)

    def adopt(self, story: Story) -> None:
        """Unwind this story, too, when the life ends: it waits outside the run queue."""
        self.stories[story] = None

    def end(self) -> None:
        """Shut the fence and unwind every story behind it."""
        self.alive = self.running = False
        for step in self._parked:
            if isinstance(step, Story):
                self.adopt(step)
        self._parked.clear()
        stories, self.stories = self.stories, {}
        for story in stories:
            story.unwind()


class Story:
    """A coroutine under way: what ``Context.spawn`` returns.

    Subclasses say where its end is reported by overriding ``ended`` and ``failed``.
    """

    __slots__ = ("_cancelling", "_coroutine", "_life", "_over", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], life: Life) -> None:
        self._coroutine = coroutine
        self._life = life
        self._waits_for: Promise[Any] | None = None
        self._cancelling = False
        self._over = False

    def ended(self, value: Any) -> None:
        """The coroutine returned."""

    def failed(self, error: BaseException) -> None:
        """The coroutine raised. Nobody waits for it, so the world is told, which stops the run."""
        self._life.failed(error)

    def cancel(self) -> None:
        """Throw ``Cancelled`` into the story where it waits (or before it begins). Idempotent."""
        if self._over or self._cancelling:
            return
        self._cancelling = True
        promise, self._waits_for = self._waits_for, None
        if promise is not None and promise.pending:
            promise._waiter = None  # noqa: SLF001  # story and promise are one mechanism
            promise._ready(self)  # noqa: SLF001  # (same)

    def step(self) -> None:
        """Run until the next wait."""
        if self._over:
            return
        if not self._life.running:
            if self._life.alive:
                self._life.park(self)
            else:
                self.unwind()
            return
        try:
            if self._cancelling:
                self._cancelling = False
                promise = self._coroutine.throw(Cancelled())
            else:
                promise = self._coroutine.send(None)
        except StopIteration as end:
            self._finish()
            self.ended(end.value)
        except (KeyboardInterrupt, SystemExit):
            raise
        except Cancelled as error:
            self._finish()
            self.cancelled(error)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is handed on
            self._finish()
            self.failed(error)
        else:
            self._wait(promise)

    def cancelled(self, _error: Cancelled) -> None:
        """The coroutine let a cancellation through, as it should."""

    def _wait(self, promise: Any) -> None:
        if type(promise) is not Promise:
            self._refuse(promise)
            return
        assert promise._waiter is None, "two stories wait for one promise"  # noqa: SLF001  # one mechanism
        self._life.stories[self] = None
        promise._waiter = self  # noqa: SLF001  # (same)
        self._waits_for = promise
        if self._cancelling:  # it was cancelled by what it did itself in this very step
            self._cancelling = False
            self.cancel()

    def _refuse(self, awaited: object) -> None:
        """Fail a story that awaits something which no simulated clock will ever wake."""
        message = f"a story may only await what its Context gives it, not {awaited!r}: nothing here will wake it"
        try:
            self._coroutine.throw(TypeError(message))
        except BaseException as error:  # noqa: BLE001  # the story dies of it either way
            self._finish()
            self.failed(error if isinstance(error, TypeError) else TypeError(message))
        else:
            self._finish()
            self.failed(TypeError(message))

    def _finish(self) -> None:
        self._over = True
        self._waits_for = None
        self._life.stories.pop(self, None)

    def unwind(self) -> None:
        """Run the ``finally`` blocks of a story whose life has ended; whatever they do is void."""
        if self._over:
            return
        self._over = True
        for _ in range(UNWINDING_STEPS):
            try:
                self._coroutine.throw(Crashed())
            except BaseException:  # noqa: BLE001  # the process is gone, and so is anybody who would care
                return
