"""Endpoints, story by story: what one node hears of another, and what it never hears."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec.structs import replace

from tahoe.errors import Refused, Unanswered
from tahoe.protocol import (
    STORAGE,
    Address,
    Answer,
    Close,
    Closed,
    ReadShare,
    RosterChanged,
    ShareBytes,
    SharesHeld,
    Space,
    Write,
    Written,
)
from tahoe.session.envelope import ASK, CREDIT, PROBE, RETURN, WORKING, Envelope
from tahoe.session.settings import Settings
from tests.session.pair import QUESTION, Pair

CLOSE = Close(b"i" * 16, b"s" * 32, (1, 2))
NEWS = RosterChanged((), ())
PLAIN = Settings(sealed=False)
MIB = 1 << 20


def write(size):
    return Write(b"i" * 16, b"s" * 32, 0, 0, b"x" * size)


def kinds(wire):
    """Kinds of the envelopes on the wire of plain sessions."""
    return [item[3].content.kind for item in wire if isinstance(item[3].content, Envelope)]


def connected(settings=PLAIN, answer=None):
    """A pair with a session, whose right side answers when the test says so unless ``answer`` is given."""
    pair = Pair(settings)
    pair.connect()
    pair.right.delivered.clear()
    pair.right.handler = answer
    return pair


def peer(side, other):
    return side.endpoint._peers[other.node]


# --- asks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sealed", [True, False])
def test_an_ask_is_answered(sealed):
    pair = Pair(Settings(sealed=sealed))
    outcomes = pair.ask()
    assert not outcomes
    pair.run_untimed()
    assert outcomes == [SharesHeld((), Space(0, 0, 0))]
    assert pair.right.delivered == [QUESTION]
    assert pair.left.endpoint.round_trip(pair.right.node) == 0.0
    assert pair.left.endpoint.round_trip(pair.left.node) is None


def test_a_refusal_comes_back_as_it_was_said():
    def refuse(request):
        raise Refused("no-space", "the disk is full")

    pair = connected(answer=refuse)
    outcomes = pair.ask(CLOSE)
    pair.run_untimed()
    assert (outcomes[0].code, outcomes[0].reason) == ("no-space", "the disk is full")


def test_an_ask_without_an_answer_ends_when_its_time_is_over():
    pair = connected()
    outcomes = pair.ask(CLOSE, timeout=5.0)
    pair.run(4.9)
    assert not outcomes
    pair.run(0.2)
    assert isinstance(outcomes[0], Unanswered)
    assert outcomes[0].seconds == 5.0
    assert outcomes[0].peer == pair.right.node


def test_a_lost_ask_is_repeated_with_its_ticket_and_a_new_counter():
    pair = connected(Settings(), answer=lambda _: Closed((1, 2)))
    outcomes = pair.ask(CLOSE)
    lost = pair.wire.popleft()
    pair.run(1.0)
    assert outcomes == [Closed((1, 2))]
    assert pair.right.delivered == [CLOSE]
    pair.hand_over(lost)
    assert pair.right.delivered == [CLOSE], "the late original must not be executed again"
    assert pair.right.endpoint.counters["stale"] + pair.right.endpoint.counters["duplicate"] == 1


def test_a_lost_answer_is_repeated_and_the_request_not_executed_again():
    pair = connected(answer=lambda _: Closed((1, 2)))
    outcomes = pair.ask(CLOSE)
    pair.hand_over(pair.wire.popleft())
    pair.wire.clear()
    pair.run(1.0)
    assert outcomes == [Closed((1, 2))]
    assert pair.right.delivered == [CLOSE]


def test_a_repeatable_request_may_run_again():
    pair = connected(answer=lambda _: ShareBytes(b"x"))
    request = ReadShare(b"i" * 16, 0, 0, 1)
    outcomes = pair.ask(request)
    pair.hand_over(pair.wire.popleft())
    pair.wire.clear()
    pair.run(1.0)
    assert outcomes == [ShareBytes(b"x")]
    assert pair.right.delivered == [request, request]
    assert not peer(pair.right, pair.left).answers.replies


def test_a_repeatable_request_does_not_run_again_while_its_large_answer_waits_for_the_line():
    pair = connected(answer=lambda _: ShareBytes(b"x" * 100_000))
    request = ReadShare(b"i" * 16, 0, 0, 100_000)
    outcomes = pair.ask(request, timeout=60.0)
    pair.hand_over(pair.wire.popleft())
    slow, pair.right.waiting_bytes = pair.wire.popleft(), 100_000
    pair.run(20.0)
    assert pair.right.delivered == [request]
    pair.right.waiting_bytes = 0
    pair.hand_over(slow)
    assert outcomes == [ShareBytes(b"x" * 100_000)]


def test_a_repeatable_request_runs_again_when_its_large_answer_can_t_be_on_its_way_any_more():
    pair = connected(answer=lambda _: ShareBytes(b"x" * 100_000))
    request = ReadShare(b"i" * 16, 0, 0, 100_000)
    outcomes = pair.ask(request, timeout=120.0)
    pair.hand_over(pair.wire.popleft())
    pair.wire.clear()
    pair.run(9.0)
    assert pair.right.delivered == [request], "on a line of 10 kB/s it would still be on its way"
    pair.run(16.0)
    assert pair.right.delivered == [request, request]
    assert outcomes == [ShareBytes(b"x" * 100_000)]


def test_a_large_answer_that_keeps_being_lost_is_given_again_after_ever_longer_times():
    pair = connected(answer=lambda _: ShareBytes(b"x" * 100_000))
    pair.ask(ReadShare(b"i" * 16, 0, 0, 100_000), timeout=1000.0)
    given = []
    for second in range(300):
        pair.run(1.0, losing=lambda item: item[4] > 100_000)
        given += [second] * (len(pair.right.delivered) - len(given))
    pauses = [later - earlier for earlier, later in pairwise(given)]
    assert len(pauses) >= 3, pauses
    assert pauses[0] >= 9, pauses
    assert all(later >= (10 << number) for number, later in enumerate(pauses)), pauses


@pytest.mark.parametrize("is_named", [True, False])
def test_a_large_answer_that_the_network_may_have_lost_is_given_again_at_once(is_named):
    pair = connected(answer=lambda _: ShareBytes(b"x" * 100_000))
    outcomes = pair.ask(ReadShare(b"i" * 16, 0, 0, 100_000), timeout=120.0)
    pair.hand_over(pair.wire.popleft())
    pair.wire.clear()
    pair.right.endpoint.mislaid(pair.left.node if is_named else None)
    pair.right.endpoint.mislaid(pair.right.node)
    pair.run(1.0)
    assert outcomes == [ShareBytes(b"x" * 100_000)]


def test_a_request_being_worked_on_is_not_begun_again():
    pair = connected()
    outcomes = pair.ask(ReadShare(b"i" * 16, 0, 0, 1), timeout=60.0)
    pair.run(20.0)
    assert len(pair.right.delivered) == 1
    pair.right.replies[0].answer(ShareBytes(b"x"))
    pair.run_untimed()
    assert outcomes == [ShareBytes(b"x")]
    assert pair.left.endpoint._peers[pair.right.node].meeting.attempt is None


def test_repetitions_come_at_ever_longer_intervals():
    pair = connected()
    pair.ask(CLOSE, timeout=100.0)
    times = []
    while pair.now < 60:
        pair.run(
            0.25,
            losing=lambda item: (
                times.append(pair.now) if item[0] == pair.left.node and item[3].content.kind == ASK else None
            ),
        )
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] < 1.1
    assert gaps == sorted(gaps)
    assert 8 <= gaps[-1] <= 16


def test_nothing_is_repeated_while_our_own_bytes_still_wait():
    pair = connected()
    pair.ask(CLOSE)
    pair.left.waiting_bytes = 1
    pair.wire.clear()
    pair.run(10.0)
    assert not pair.right.delivered
    pair.left.waiting_bytes = 0
    pair.run(2.0)
    assert pair.right.delivered == [CLOSE]


def test_a_large_ask_that_is_late_is_asked_about_and_not_sent_again():
    pair = connected(answer=None)
    outcomes = pair.ask(write(40_000), timeout=60.0)
    sent = []
    pair.run(10.0, losing=lambda item: sent.append((item[3].content.kind, item[4])))
    large = [size for kind, size in sent if size > 40_000]
    assert len(large) == 1
    assert {PROBE, WORKING} <= {kind for kind, _ in sent}
    pair.right.replies[0].answer(Written())
    pair.run(1.0)
    assert outcomes == [Written()]


def test_a_large_ask_that_was_lost_is_sent_again_when_the_other_side_misses_it():
    pair = connected(answer=lambda _: Written())
    pair.ask(write(10_000))
    pair.run_untimed()
    outcomes = pair.ask(write(40_000))
    pair.wire.clear()
    pair.run(3.0)
    assert outcomes == [Written()]


def test_an_ask_that_comes_after_its_time_is_not_executed():
    pair = connected()
    pair.ask(CLOSE)
    pair.wire[0][3].content.remaining = 0
    pair.run_untimed()
    assert not pair.right.delivered
    assert pair.right.endpoint.counters["expired"] == 1


def test_a_handler_hears_that_the_askers_time_is_over():
    pair = connected()
    pair.ask(CLOSE, timeout=5.0)
    pair.run_untimed()
    reply, cancelled = pair.right.replies[0], []
    reply.on_cancel = lambda: cancelled.append(pair.now)
    assert 4.9 < reply.remaining <= 5.1
    pair.run(7.0)
    assert len(cancelled) == 1
    assert 5.0 <= cancelled[0] <= 6.1
    assert reply.cancelled
    reply.answer(Closed(()))
    assert not pair.wire


def test_a_cancelled_ask_stops_the_work_on_it():
    pair = connected()
    outcomes = pair.ask(CLOSE)
    pair.run_untimed()
    cancelled = []
    pair.right.replies[0].on_cancel = lambda: cancelled.append(True)
    outcomes.asking.cancel()
    outcomes.asking.cancel()
    pair.run(30.0)
    assert cancelled == [True]
    assert not outcomes
    assert peer(pair.right, pair.left).current.inflow.held == 0
    assert len(pair.right.delivered) == 1


def test_a_message_that_no_packet_may_carry_is_refused_before_it_leaves():
    pair = connected(replace(PLAIN, message_bytes=64 * 1024))
    outcomes = pair.ask(write(70_000))
    assert not outcomes, "never within ask itself"
    pair.run(0.1)
    assert outcomes[0].code == "too-large"
    assert "65536" in outcomes[0].reason
    pair.left.endpoint.tell(pair.now, Address(pair.right.node, STORAGE), RosterChanged((b"x" * 70_000,)))
    assert pair.left.endpoint.counters["tell-too-large"] == 1
    assert not pair.wire


def test_an_answer_that_no_packet_may_carry_becomes_a_refusal():
    pair = connected(replace(PLAIN, message_bytes=64 * 1024), answer=lambda _: ShareBytes(b"x" * 70_000))
    outcomes = pair.ask(ReadShare(b"i" * 16, 0, 0, 70_000))
    pair.run_untimed()
    assert outcomes[0].code == "too-large"


def test_too_many_open_asks_are_refused():
    pair = connected(replace(PLAIN, asks_open=3))
    outcomes = [pair.ask(CLOSE) for _ in range(4)]
    assert not any(outcomes)
    pair.run(0.1)
    assert [len(outcome) for outcome in outcomes] == [0, 0, 0, 1]
    assert outcomes[3][0].code == "overloaded"


def test_an_answer_of_the_wrong_type_never_reaches_the_asker():
    pair = connected(answer=lambda _: Written())
    outcomes = pair.ask(QUESTION)
    pair.run_untimed()
    assert isinstance(outcomes[0], Unanswered)
    assert "does not understand" in outcomes[0].reason


def test_a_request_of_the_future_is_refused_by_name():
    pair = connected(Settings())
    asking = pair.ask(CLOSE)
    pair.wire.clear()
    session = peer(pair.left, pair.right).current
    text, size = session.write(Envelope(STORAGE, ASK, 2, 9000, 2, 0, 200, ["of-the-future", 1]))
    pair.right.endpoint.receive(0.0, pair.left.node, "in", session.seal(0, text, size))
    pair.run_untimed()
    assert asking[0].code == "unknown-message"
    assert not pair.right.delivered


# --- kept answers --------------------------------------------------------------------------------------------


def test_kept_answers_go_when_the_asker_needs_them_no_more():
    pair = connected(answer=lambda _: Closed(()))
    for _ in range(100):
        pair.ask(CLOSE)
        pair.run_untimed()
    assert len(peer(pair.right, pair.left).answers.replies) == 1
    assert 0 < pair.right.endpoint._desk.answer_bytes < 100


def test_a_full_store_of_answers_refuses_new_work_for_good():
    pair = connected(replace(PLAIN, answers_kept=2), answer=lambda _: Closed(()))
    blocked = pair.ask(CLOSE, timeout=100.0)
    first = pair.wire.popleft()
    outcomes = [pair.ask(CLOSE) for _ in range(3)]
    copies = list(pair.wire)
    pair.run_untimed()
    assert [type(outcome[0]) for outcome in outcomes] == [Closed, Closed, Refused]
    assert outcomes[2][0].code == "overloaded"
    executed = len(pair.right.delivered)
    pair.run(2.0)
    assert isinstance(blocked[0], Refused), "it is below the refused one, and may not be executed any more"
    for copy in (first, *copies):
        pair.hand_over(copy)
    pair.run(5.0)
    assert len(pair.right.delivered) == executed


def test_answers_that_nobody_can_ask_for_make_room():
    pair = connected(replace(PLAIN, answers_kept=2), answer=lambda _: Closed(()))
    pair.ask(CLOSE, timeout=1.0)
    pair.wire.clear()
    for _ in range(2):
        pair.ask(CLOSE, timeout=5.0)
    pair.run_untimed()
    peer(pair.left, pair.right).lowest = 1
    pair.now = 20.0
    outcomes = pair.ask(CLOSE)
    pair.run_untimed()
    assert outcomes == [Closed(())]


def test_bytes_of_kept_answers_are_bounded_for_all_peers_together():
    pair = connected(replace(PLAIN, answer_bytes_kept=100), answer=lambda _: Closed(tuple(range(200))))
    first = pair.ask(CLOSE)
    pair.run_untimed()
    pair.left.endpoint._peers[pair.right.node].lowest = 1
    second = pair.ask(CLOSE)
    peer(pair.left, pair.right).lowest = 1
    pair.wire[0][3].content.lowest = 1
    pair.run_untimed()
    assert isinstance(first[0], Closed)
    assert second[0].code == "overloaded"


# --- tells ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sealed", [True, False])
def test_a_tell_is_executed_once_however_often_it_comes(sealed):
    pair = connected(Settings(sealed=sealed))
    pair.left.endpoint.tell(0.0, Address(pair.right.node, STORAGE), NEWS)
    copy = pair.wire[0]
    pair.run_untimed()
    for _ in range(3):
        pair.hand_over(copy)
    assert pair.right.delivered == [NEWS]
    assert pair.right.endpoint.counters["replayed"] == 3


def test_a_tell_to_a_stranger_waits_for_the_handshake():
    pair = Pair()
    pair.left.endpoint.tell(0.0, Address(pair.right.node, STORAGE), NEWS)
    pair.run_untimed()
    assert pair.right.delivered == [NEWS]


def test_tells_nobody_takes_are_dropped_in_the_end():
    pair = Pair(Settings(asks_open=5))
    for _ in range(8):
        pair.left.endpoint.tell(0.0, Address(pair.right.node, STORAGE), NEWS)
    pair.run(60.0, losing=lambda _: True)
    assert pair.left.endpoint.counters["tell-dropped"] == 8
    assert not pair.left.wakes


# --- credit --------------------------------------------------------------------------------------------------


def test_a_slow_handler_stops_the_sender():
    pair = connected()
    outcomes = [pair.ask(write(20_000), timeout=500.0) for _ in range(50)]
    pair.run(5.0)
    window = peer(pair.right, pair.left).current.inflow.window
    assert 2 <= len(pair.right.delivered) <= window // 20_000 + 1
    while pair.right.replies:
        pair.right.replies.pop(0).answer(Written())
        pair.run(0.01)
    assert outcomes == [[Written()]] * 50


def test_credit_travels_with_answers_and_costs_no_packets_of_its_own():
    pair = connected(answer=lambda _: Written())
    sent = []
    for _ in range(200):
        pair.ask(write(1000))
        pair.run(0.001, losing=lambda item: sent.append(item[3].content.kind))
    assert len(sent) == 400


def test_tells_are_granted_credit_by_packets_of_their_own():
    pair = connected()
    sent = []
    for _ in range(300):
        pair.left.endpoint.tell(pair.now, Address(pair.right.node, STORAGE), RosterChanged((b"x" * 1000,)))
        pair.run(0.001, losing=lambda item: sent.append(item[3].content.kind))
    assert len(pair.right.delivered) == 300
    assert 0 < sent.count(CREDIT) < 30


def test_a_lost_grant_costs_nothing():
    pair = connected()
    outcomes = [pair.ask(write(30_000), timeout=100.0) for _ in range(5)]
    pair.run_untimed()
    while pair.right.replies:
        pair.right.replies.pop().answer(Written())
    pair.wire.clear()
    pair.right.handler = lambda _: Written()
    pair.run(20.0)
    assert outcomes == [[Written()]] * 5


def test_a_message_larger_than_the_first_window_gets_room():
    pair = connected(answer=lambda _: Written())
    outcomes = pair.ask(write(400_000))
    pair.run_untimed()
    assert outcomes == [Written()]


def test_windows_grow_with_the_way_and_come_back_when_idle():
    pair = connected(answer=lambda _: Written())
    flow = peer(pair.right, pair.left).current.inflow
    peer(pair.right, pair.left).sample(0.1)
    peer(pair.right, pair.left)._quickest = 0.1
    for _ in range(200):
        pair.ask(write(30_000), timeout=100.0)
    pair.run(1.0)
    assert flow.window > 500_000
    assert pair.right.endpoint._desk.budget.lent == flow.window - PLAIN.first_window
    sent = []
    pair.run(30.0, losing=lambda item: sent.append(item[3].content.kind))
    assert RETURN in sent
    assert flow.window == PLAIN.first_window
    assert pair.right.endpoint._desk.budget.lent == 0
    outcomes = pair.ask(write(100_000))
    pair.run_untimed()
    assert outcomes == [Written()]


def test_whoever_sends_more_than_was_granted_is_not_heard():
    pair = connected()
    peer(pair.left, pair.right).current.outflow.limit = MIB
    for _ in range(10):
        pair.ask(write(30_000))
    pair.run_untimed()
    assert len(pair.right.delivered) == 2
    assert pair.right.endpoint.counters["over-credit"] >= 8


def test_asks_wait_until_there_is_room_for_their_answers():
    pair = connected(replace(PLAIN, receive_budget=2 * MIB))
    outcomes = [pair.ask(ReadShare(b"i" * 16, 0, 0, 500_000), timeout=100.0) for _ in range(10)]
    pair.run_untimed()
    assert len(pair.right.delivered) == 4
    pair.right.handler = lambda _: ShareBytes(b"x" * 500_000)
    while pair.right.replies:
        pair.right.replies.pop(0).answer(ShareBytes(b"x" * 500_000))
        pair.run(0.01)
    assert [len(outcome) for outcome in outcomes] == [1] * 10
    assert pair.left.endpoint._desk.reserved == 0


def test_one_answer_larger_than_the_budget_is_not_waited_for_for_ever():
    pair = connected(replace(PLAIN, receive_budget=2 * MIB), answer=lambda _: ShareBytes(b""))
    outcomes = pair.ask(ReadShare(b"i" * 16, 0, 0, 3 * MIB))
    pair.run_untimed()
    assert outcomes == [ShareBytes(b"")]


# --- rates -----------------------------------------------------------------------------------------------------


def test_the_upload_rate_is_kept():
    pair = connected(replace(PLAIN, upload_rate=100_000), answer=lambda _: Written())
    outcomes = [pair.ask(write(50_000), timeout=100.0) for _ in range(20)]
    pair.run(5.0)
    assert 9 <= sum(map(len, outcomes)) <= 13
    pair.run(7.0)
    assert outcomes == [[Written()]] * 20


def test_the_download_rate_is_kept_for_what_is_asked_for():
    pair = connected(replace(PLAIN, download_rate=100_000), answer=lambda _: ShareBytes(b"x" * 50_000))
    outcomes = [pair.ask(ReadShare(b"i" * 16, 0, 0, 50_000), timeout=100.0) for _ in range(20)]
    pair.run(5.0)
    assert 9 <= sum(map(len, outcomes)) <= 13
    pair.run(7.0)
    assert [len(outcome) for outcome in outcomes] == [1] * 20


def test_the_download_rate_is_kept_for_what_others_send():
    pair = connected(replace(PLAIN, download_rate=100_000), answer=lambda _: Written())
    outcomes = [pair.ask(write(50_000), timeout=100.0) for _ in range(20)]
    pair.run(5.0)
    assert 8 <= sum(map(len, outcomes)) <= 13
    pair.run(10.0)
    assert outcomes == [[Written()]] * 20


# --- incarnations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sealed", [True, False])
def test_asks_to_a_restarted_node_end_promptly(sealed):
    pair = connected(Settings(sealed=sealed))
    outcomes = pair.ask(CLOSE, timeout=600.0)
    pair.run_untimed()
    fresh = pair.restart(pair.right)
    fresh.handler = lambda _: Closed(())
    pair.run(5.0)
    assert isinstance(outcomes[0], Unanswered)
    assert "restarted" in outcomes[0].reason
    assert fresh.delivered == []
    again = pair.ask(CLOSE)
    pair.run_untimed()
    assert again == [Closed(())]


def test_a_node_that_does_not_know_the_asker_is_reached_by_a_new_handshake():
    pair = connected()
    outcomes = pair.ask(CLOSE, timeout=600.0)
    pair.run_untimed()
    fresh = pair.restart(pair.right)
    fresh.known.clear()
    pair.run(10.0)
    assert "restarted" in outcomes[0].reason


def test_what_a_dead_incarnation_sealed_is_dead():
    pair = connected(Settings(), answer=lambda _: Closed(()))
    pair.ask(CLOSE)
    old = pair.wire[0]
    pair.run_untimed()
    pair.restart(pair.right)
    pair.right.handler = lambda _: Closed(())
    pair.hand_over(old)
    pair.run(5.0)
    pair.hand_over(old)
    assert pair.right.delivered == []
    assert pair.right.endpoint.counters["no-session"] == 2


def test_a_node_that_is_gone_ends_its_asks_at_once():
    pair = connected()
    outcomes = pair.ask(CLOSE)
    pair.run_untimed()
    pair.left.endpoint.forget(pair.now, pair.right.node)
    assert isinstance(outcomes[0], Unanswered)
    assert "offline" in outcomes[0].reason
    pair.left.endpoint.forget(pair.now, pair.right.node)
    cancelled = []
    pair.right.replies[0].on_cancel = lambda: cancelled.append(True)
    pair.right.endpoint.forget(pair.now, pair.left.node)
    assert cancelled == [True]
    pair.right.replies[0].answer(Closed(()))
    pair.right.handler = lambda _: Closed(())
    again = pair.ask(CLOSE)
    pair.run_untimed()
    assert again == [Closed(())]


def test_a_session_whose_counters_are_used_up_is_replaced(monkeypatch):
    pair = connected(Settings(), answer=lambda _: Closed(()))
    session = peer(pair.left, pair.right).current
    monkeypatch.setattr("tahoe.session.sealing.MOST_PACKETS", session._sent[0])
    outcomes = pair.ask(CLOSE)
    monkeypatch.undo()
    pair.run_untimed()
    assert outcomes == [Closed(())]
    assert peer(pair.left, pair.right).current is not session


def test_packets_of_an_unknown_version_are_counted_and_named():
    pair = connected(Settings())
    outcomes = pair.ask(CLOSE, timeout=3.0)
    pair.wire.clear()
    pair.left.endpoint.receive(pair.now, pair.right.node, "in", b"\x09" + bytes(100))
    pair.run(5.0, losing=lambda _: True)
    assert pair.left.endpoint.counters["unknown-version"] == 1
    assert "upgrade this node" in outcomes[0].reason
    assert "version 9" in outcomes[0].reason


def test_nothing_a_stranger_sends_raises():
    pair = connected(Settings())
    for packet in (b"", b"\x01", b"\xf1", b"\xf2" * 100, b"\xf1" * 200, b"\x01" * 100, bytes(50)):
        for channel in ("in", "bulk"):
            pair.right.endpoint.receive(0.0, pair.left.node, channel, packet)
            pair.right.endpoint.receive(0.0, "not a node", channel, packet)
    assert sum(pair.right.endpoint.counters.values()) == 28
    outcomes = pair.ask(QUESTION)
    pair.run_untimed()
    pair.right.replies[0].answer(SharesHeld((), Space(0, 0, 0)))
    pair.run_untimed()
    assert isinstance(outcomes[0], Answer)
