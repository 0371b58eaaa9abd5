"""Laws that hold whatever the channel does."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tahoe.session import handshake, sealing
from tahoe.session.settings import GridAccess
from tests.session.channel import CALM, SMALL, Counted, Weather, World
from tests.session.pair import ACCESS

moderate = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)

weathers = st.builds(
    Weather,
    loss=st.sampled_from((0.0, 0.05, 0.3, 0.6)),
    doubling=st.sampled_from((0.0, 0.2, 0.8)),
    replay=st.sampled_from((0.0, 0.1, 0.5)),
    delay=st.sampled_from((0.01, 0.2, 2.0)),
)

SIZES = (0, 0, 500, 1500, 5000, 12000, 20000)
TIMEOUTS = (0.3, 3.0, 20.0)
WAITS = (0.01, 0.3, 3.0)

sides = st.sampled_from(("left", "right"))

steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("ask"),
            sides,
            st.booleans(),
            st.sampled_from(SIZES),
            st.sampled_from(TIMEOUTS),
        ),
        st.tuples(st.just("ask"), sides, st.booleans(), st.just(0), st.just(8.0)),
        st.tuples(st.just("tell"), sides),
        st.tuples(st.just("cancel"), st.integers(0, 50)),
        st.tuples(st.just("restart"), sides),
        st.tuples(st.just("forget"), sides),
        st.tuples(st.just("wait"), st.sampled_from(WAITS)),
    ),
    max_size=60,
)


class RecordingCipher:
    """AES-GCM that fails when one key and nonce seal two texts."""

    sealed: ClassVar[defaultdict[tuple[bytes, bytes], set]] = defaultdict(set)

    def __init__(self, key):
        self.key = key
        self.real = REAL_CIPHER(key)

    def encrypt(self, nonce, text, bound):
        texts = self.sealed[self.key, nonce]
        texts.add((bytes(text), bound))
        assert len(texts) == 1, "one key and counter sealed two texts"
        return self.real.encrypt(nonce, text, bound)

    def decrypt(self, nonce, sealed, bound):
        return self.real.decrypt(nonce, sealed, bound)


REAL_CIPHER = sealing.AESGCM


@pytest.fixture
def recording(monkeypatch):
    RecordingCipher.sealed = defaultdict(set)
    monkeypatch.setattr(sealing, "AESGCM", RecordingCipher)
    monkeypatch.setattr(handshake, "AESGCM", RecordingCipher)
    return RecordingCipher


def drive(world: World, script) -> None:
    asked = []
    for step, *facts in script:
        match step:
            case "ask":
                name, repeatable, size, timeout = facts
                asked.append(world.ask(name, repeatable=repeatable, size=size, timeout=timeout))
            case "tell":
                world.tell(*facts)
            case "cancel":
                if asked:
                    world.cancel(*asked[facts[0] % len(asked)])
            case "restart":
                world.start(*facts)
            case "forget":
                side = world.alive[facts[0]]
                side.endpoint.forget(world.now, world.other(side).node)
            case "wait":
                world.run(world.now + facts[0])
                world.check_outcomes()
    world.run(world.now + 25)
    world.check_outcomes()


def settle(world: World) -> None:
    """The weather clears: whatever was lost is mended, and both sides get answers again."""
    world.weather = CALM
    world.run(world.now + 25)
    for name in ("left", "right"):
        number, _ = world.ask(name, repeatable=False, size=3000, timeout=60.0)
        world.run(world.now + 61)
        assert isinstance(world.outcomes[number][0], Counted), f"{name} got {world.outcomes[number]}"
    world.check_outcomes()
    world.run(world.now + 120)
    world.check_nothing_left()


@moderate
@given(seed=st.integers(0, 2**32), weather=weathers, script=steps)
def test_answered_is_executed_once_memory_is_bounded_and_nothing_deadlocks(recording, seed, weather, script):
    recording.sealed.clear()
    world = World(seed, weather)
    drive(world, script)
    settle(world)


@moderate
@given(seed=st.integers(0, 2**32), weather=weathers, script=steps)
def test_the_same_holds_for_plain_sessions_in_the_simulator(seed, weather, script):
    world = World(seed, weather, replace(SMALL, sealed=False))
    drive(world, script)
    settle(world)


def busy_script(rng: Random):
    """A hundred steps, most of them asks."""
    makers = {
        "ask": lambda side: (side, rng.random() < 0.5, rng.choice(SIZES), rng.choice(TIMEOUTS)),
        "tell": lambda side: (side,),
        "cancel": lambda _: (rng.randrange(50),),
        "restart": lambda side: (side,),
        "forget": lambda side: (side,),
        "wait": lambda _: (rng.choice(WAITS),),
    }
    for step in rng.choices(tuple(makers), (50, 10, 5, 3, 2, 30), k=100):
        yield (step, *makers[step](rng.choice(("left", "right"))))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), weather=weathers, sealed=st.booleans())
def test_the_same_holds_when_there_is_a_lot_to_do(seed, weather, sealed):
    world = World(seed, weather, replace(SMALL, sealed=sealed))
    drive(world, busy_script(Random(seed)))
    settle(world)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), weather=weathers, script=steps)
def test_without_the_join_secret_no_session_comes_up(seed, weather, script):
    world = World(seed, weather, accesses=(ACCESS, GridAccess(ACCESS.grid_id, b"?" * 32)))
    drive(world, script)
    assert not world.executed
    assert not [side for side in world.alive.values() for peer in side.endpoint._peers.values() if peer.current]


@pytest.mark.parametrize("sealed", [True, False])
def test_one_seed_makes_one_run(sealed):
    def packets(seed):
        world = World(seed, Weather(0.1, 0.1, 0.1, 0.2), replace(SMALL, sealed=sealed))
        drive(
            world,
            [("ask", "left", True, 500, 8.0), ("ask", "right", False, 5000, 8.0), ("wait", 3.0), ("tell", "left")],
        )
        return [item[4] if not sealed else item[3] for item in world.captured]

    assert packets(7) == packets(7)
