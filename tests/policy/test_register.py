"""The register rule, checked in every order of messages, losses and silences that a small grid can have."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations, product
from typing import NamedTuple

import pytest

from tahoe.codec.slot import SlotShape, SlotVersion
from tahoe.policy.register import Ballot, Choice, Register, positions_of

HOMES = tuple(bytes([number]) * 32 for number in range(10))


def _version(sequence: int, author: str = "", *, needed: int = 3, total: int = 10) -> SlotVersion:
    root = author.encode().ljust(32, b"\0")
    return SlotVersion(sequence, root, SlotShape(needed, total, needed, 0), HOMES[:total])


def _heard(*carried: SlotVersion | None) -> Register:
    register = Register()
    for number, version in enumerate(carried):
        register.learn(HOMES[number], {} if version is None else {number: version})
    return register


# --- by example ------------------------------------------------------------------------------------------


def test_a_quorum_that_agrees_is_enough():
    one = _version(1)
    assert _heard(*[one] * 6).choice() is None
    assert _heard(*[one] * 7).choice() == Choice(one, may_be_stale=False)


def test_a_fork_that_reached_no_quorum_does_not_count_and_is_merged():
    one, fork = _version(1), _version(2, "a")
    register = _heard(*[one] * 6, *[fork] * 4)
    assert register.choice() == Choice(one, may_be_stale=False)
    assert register.heads(one) == [one, fork]


def test_a_fork_on_fewer_than_k_positions_need_not_be_merged():
    one, fork = _version(1), _version(2, "a")
    assert _heard(*[one] * 8, *[fork] * 2).heads(one) == [one]


def test_a_version_may_yet_win_as_long_as_enough_positions_are_left_that_would_take_it():
    one, fork, rival = _version(1), _version(2, "a"), _version(2, "b")
    assert _heard(*[one] * 6, *[fork] * 4).may_yet_win(fork)
    assert _heard(*[fork] * 4, *[rival] * 3, *[one] * 3).may_yet_win(fork)
    assert not _heard(*[fork] * 4, *[rival] * 4, *[one] * 2).may_yet_win(fork)
    assert not _heard(*[fork] * 5, *[rival] * 5).may_yet_win(rival)


def test_while_a_newer_version_may_have_won_out_of_reach_an_older_one_is_no_answer():
    one, two = _version(1), _version(2)
    assert _heard(*[two] * 4, *[one] * 3).choice() is None
    assert _heard(*[two] * 6, one).choice() == Choice(two, may_be_stale=False)
    assert _heard(*[two] * 2, *[one] * 5).choice() == Choice(one, may_be_stale=False)


def test_a_version_is_not_certain_where_newer_ones_may_hide_a_rival_that_won():
    fork = _version(3, "fork", needed=1, total=3)
    others = [_version(4, author, needed=1, total=3) for author in ("a", "b")]
    torn = _heard(fork, *others)  # a rival of the fork may have won in the places of the other two
    assert torn.choice() is None
    assert torn.best_effort() == Choice(max(others, key=lambda version: version.identity), may_be_stale=True)
    assert _heard(fork, fork, others[0]).choice() == Choice(fork, may_be_stale=False)


def test_with_too_few_homes_in_reach_the_newest_that_can_be_recovered_is_given_with_a_warning():
    one, two = _version(1), _version(2)
    assert _heard(*[one] * 3, *[two] * 2).best_effort() == Choice(one, may_be_stale=True)
    assert _heard(one, one).best_effort() is None


@pytest.mark.parametrize(("needed", "total"), [(3, 10), (2, 5), (3, 7), (2, 3)])
def test_no_single_liar_passes_an_older_version_or_a_rival_off_as_certain(needed, total):
    one, won, lost = (_version(*each, needed=needed, total=total) for each in ((1,), (2, "a"), (2, "b")))
    quorum = won.shape.quorum
    doubts = 0
    for honest, older, shown in product(range(total), range(total), (one, lost, None)):
        for rivals in range(total - honest - older):
            # the liar and at least Q - 1 others have what won; what the others have is heard or not
            if older + rivals > total - quorum:
                continue
            choice = _heard(*[won] * honest, *[one] * older, *[lost] * rivals, shown).wary_effort()
            assert choice is None or choice.may_be_stale or choice.version == won
            doubts += choice is not None and choice.may_be_stale
    assert doubts


def test_where_nobody_can_have_made_the_difference_a_reader_has_no_doubt():
    one, fork = _version(1), _version(2, "a")
    assert _heard(*[one] * 6, *[fork] * 4).wary_effort() == Choice(one, may_be_stale=False)
    assert _heard(*[one] * 5, *[fork] * 5).wary_effort() == Choice(one, may_be_stale=False)
    assert _heard(*[one] * 4, *[fork] * 6).wary_effort() == Choice(fork, may_be_stale=True)
    assert _heard(*[one] * 3, *[fork] * 7).wary_effort() == Choice(fork, may_be_stale=False)


def test_homes_that_have_not_answered_are_named():
    register = _heard(_version(1), _version(1))
    assert register.missing() == list(HOMES[2:])


def test_a_ballot_is_done_with_a_quorum_and_lost_without_a_chance_of_one():
    version = _version(2)
    places = positions_of(version)
    ballot = Ballot(version)
    ballot.fail(places[:3])
    assert not ballot.is_lost
    ballot.take(places[3:])
    assert ballot.is_done
    lost = Ballot(version)
    lost.fail(places[:4])
    assert lost.is_lost


# --- in every order --------------------------------------------------------------------------------------
#
# Three servers, k = 1, quorum 2. Two writers each add an edit of their own to what they read; a repairer copies the
# version that counts to a position that lost its share. Every read of a server, every delivery of a message, with or
# without its answer coming back, is a step; whatever never happens is a loss, a crash or a silence. Explored are all
# orders of steps.

SERVERS = range(3)
UNHEARD = ("unheard",)
MOST_RETRIES = {"a": 1, "b": 0, "repairer": 0}
"""A writer who lost reads again and tries once more; one of them suffices for the fork that mends a fork."""


class Name(NamedTuple):
    """A version of the model: its sequence number, who made it, and which edits are in it."""

    sequence: int
    author: str
    edits: frozenset[str]


FIRST = Name(1, "", frozenset())


class Actor(NamedTuple):
    """A writer or the repairer: what it heard, and where its messages stand."""

    heard: tuple = (UNHEARD,) * 3
    owed: frozenset[str] = frozenset()
    name: Name | None = None
    replaces: tuple = ()
    sent: frozenset[int] = frozenset()
    taken: frozenset[int] = frozenset()
    tries: int = 0


class State(NamedTuple):
    """Everything at one moment. ``acknowledged`` are the edits whose writers know that they are done."""

    servers: tuple
    actors: tuple[tuple[str, Actor], ...]
    acknowledged: frozenset[str] = frozenset()


@cache
def _model_version(name: Name) -> SlotVersion:
    return _version(name.sequence, f"{name.author}:{','.join(sorted(name.edits))}", needed=1, total=3)


@cache
def _decide(heard: tuple) -> tuple[Name | None, tuple[Name, ...], int]:
    """The version that counts, what must be merged, and the highest sequence number seen."""
    names = {_model_version(item): item for item in heard if isinstance(item, Name)}
    register = Register()
    for number, item in enumerate(heard):
        if item != UNHEARD:
            register.learn(HOMES[number], {} if item is None else {number: _model_version(item)})
    choice = register.choice()
    if choice is None:
        return None, (), register.highest_sequence()
    heads = register.heads(choice.version)
    return names[choice.version], tuple(names[head] for head in heads), register.highest_sequence()


def _steps(state: State) -> Iterator[State]:
    for index, (who, actor) in enumerate(state.actors):
        for changed, servers, done in _actor_steps(who, actor, state):
            actors = (*state.actors[:index], (who, changed), *state.actors[index + 1 :])
            yield State(servers, actors, state.acknowledged | done)


def _actor_steps(who: str, actor: Actor, state: State) -> Iterator[tuple[Actor, tuple, frozenset[str]]]:
    nothing: frozenset[str] = frozenset()
    if actor.name is None:
        for number in SERVERS:
            if actor.heard[number] == UNHEARD:
                began = actor.heard == (UNHEARD,) * 3
                heard = (*actor.heard[:number], state.servers[number], *actor.heard[number + 1 :])
                owed = state.acknowledged if began else actor.owed
                yield actor._replace(heard=heard, owed=owed), state.servers, nothing
        begun = _begin(who, actor)
        if begun is not None:
            yield begun, state.servers, nothing
        return
    for number in SERVERS:
        if number not in actor.sent:
            yield from _deliver(who, actor, state, number)
    if actor.tries < MOST_RETRIES[who] and len(actor.sent) == 3 and len(actor.taken) < 2:
        yield Actor(tries=actor.tries + 1), state.servers, nothing


def _begin(who: str, actor: Actor) -> Actor | None:
    """Decide what to write, as soon as what was heard suffices."""
    counts, heads, highest = _decide(actor.heard)
    if counts is None:
        return None
    assert actor.owed <= counts.edits, (
        f"{who} read {counts}, which lacks acknowledged edits {actor.owed - counts.edits}"
    )
    if who == "repairer":
        wrong = [
            number
            for number in SERVERS
            if actor.heard[number] is not UNHEARD and _is_behind(actor.heard[number], counts)
        ]
        return actor._replace(name=counts, replaces=actor.heard, sent=frozenset(SERVERS) - set(wrong))
    edits = frozenset({who}).union(*(head.edits for head in heads))
    replaces = tuple(counts if item == UNHEARD else item for item in actor.heard)
    return actor._replace(name=Name(highest + 1, who, edits), replaces=replaces)


def _is_behind(carried: Name | None, counts: Name) -> bool:
    return carried is None or carried.sequence < counts.sequence


def _deliver(who: str, actor: Actor, state: State, number: int) -> Iterator[tuple[Actor, tuple, frozenset[str]]]:
    """The server's rule: on top of exactly what is named, and higher; or it carries the version already."""
    assert actor.name is not None
    carried = state.servers[number]
    sent = actor._replace(sent=actor.sent | {number})
    fits = carried == actor.replaces[number] and _is_behind(carried, actor.name)
    if not fits and carried != actor.name:
        yield sent, state.servers, frozenset()
        return
    servers = (*state.servers[:number], actor.name, *state.servers[number + 1 :])
    yield sent, servers, frozenset()  # the answer is lost
    heard = sent._replace(taken=sent.taken | {number})
    yield heard, servers, frozenset({who}) if len(heard.taken) >= 2 and who != "repairer" else frozenset()


def _check_reads(state: State) -> None:
    """Whoever reads a quorum now gets every acknowledged edit."""
    for size in (2, 3):
        for numbers in combinations(SERVERS, size):
            heard = tuple(state.servers[number] if number in numbers else UNHEARD for number in SERVERS)
            counts, _, _ = _decide(heard)
            if counts is not None:
                assert state.acknowledged <= counts.edits, f"{state.servers}: {counts} lacks {state.acknowledged}"


def _explore(first: State) -> set[State]:
    seen, waiting = {first}, [first]
    while waiting:
        state = waiting.pop()
        _check_reads(state)
        for following in _steps(state):
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return seen


@pytest.mark.parametrize(
    ("servers", "who"),
    [((FIRST,) * 3, ("a", "b")), ((FIRST, FIRST, None), ("a", "repairer")), ((FIRST, FIRST, None), ("a", "b"))],
)
def test_in_every_order_of_steps_acknowledged_edits_are_read_and_kept(servers, who):
    states = _explore(State(servers, tuple((name, Actor()) for name in who)))
    assert any(state.acknowledged == frozenset(who) - {"repairer"} for state in states), "nothing was ever acknowledged"
    rivals = {frozenset(state.servers) for state in states}
    assert any(
        len({name.sequence for name in group if name}) < len([name for name in group if name]) for group in rivals
    ) or ("repairer" in who), "no fork was ever seen"


def test_the_model_has_teeth_a_writer_who_does_not_merge_loses_edits(monkeypatch):
    monkeypatch.setattr(Register, "heads", lambda _, base: [base])
    _decide.cache_clear()
    with pytest.raises(AssertionError, match="lacks"):
        _explore(State((FIRST,) * 3, (("a", Actor()), ("b", Actor()))))
    _decide.cache_clear()
