"""One conversation: what a node remembers of one other node it asks and answers.

The asking side gives every ask a ticket, which stays the same however often the ask is repeated, and says
in every envelope which of its tickets is the lowest still open. The answering side keeps, per ticket, what it
is working on and what it has answered (unless the request may simply run again)::

        lowest open                                     next ticket
            |   12     13     14     15     16     17     |
            | asked  done   asked  asked  done   asked    |      asking side
            | kept   kept   works   -     kept    -       |      answering side: 15 and 17 were lost,
                                                                 everything below 12 is forgotten

A repeated ask meets its kept answer and is not executed again. The kept answers are never evicted to make
room: when they are too many, new work is refused; and since ``Refused`` promises that it was not done, a
mark remembers that no unknown ticket up to the refused one may ever be executed.

A large ask that is late is not sent again at once: a small probe asks whether it arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import Any, Final, get_args, get_origin

from tahoe.errors import Refused, Unanswered, VersionMismatch
from tahoe.protocol import Answer, Message, NodeId, Refusal, Request, Role
from tahoe.session.credit import Inflow
from tahoe.session.desk import Asking, Desk, Outcome
from tahoe.session.envelope import (
    ANSWER,
    ASK,
    BULK,
    CANCEL,
    CONTROL,
    CREDIT,
    MISSING,
    NOBODY,
    PROBE,
    REFUSAL,
    RETURN,
    TELL,
    WORKING,
    Envelope,
)
from tahoe.session.meeting import Meeting
from tahoe.session.sealing import Dropped, Session
from tahoe.session.waits import Waiting

IDLE_SECONDS: Final = 10.0
"""A sender that was idle for so long gives back credit."""

LONGEST_WORK: Final = 24 * 3600.0
"""Seconds that a request may take, whatever its asker says."""

_SILENT_TRIES: Final = 2
"""Repetitions after which silence makes us doubt the session."""


class Telling:
    """A tell that waits for credit or for a session."""

    __slots__ = ("message", "role", "size")

    def __init__(self, role: Role, message: Message) -> None:
        self.role = role
        self.message = message
        self.size = 0


class Reply:
    """A request being worked on, and later its kept answer."""

    __slots__ = (
        "_flow",
        "_held",
        "_peer",
        "body",
        "cancelled",
        "deadline",
        "expiry",
        "kind",
        "on_cancel",
        "repeatable",
        "size",
        "ticket",
    )

    def __init__(self, peer: Peer, flow: Inflow, held: int, envelope: Envelope, deadline: float) -> None:
        self._peer: Peer | None = peer
        self._flow = flow
        self._held = held
        flow.held += held
        self.ticket = envelope.ticket
        self.repeatable: bool = envelope.body.repeatable
        self.deadline = deadline
        self.cancelled = False
        self.on_cancel: Callable[[], None] | None = None
        self.expiry: Waiting[Any] | None = None
        self.kind = ANSWER
        self.body: Any = None
        self.size = 0

    @property
    def working(self) -> bool:
        """Whether the handler has yet to say what came of it."""
        return self._peer is not None

    @property
    def remaining(self) -> float:
        """Seconds that the asker still waits, as of the last event in this node."""
        return max(self.deadline - self._peer.desk.now, 0.0) if self._peer is not None else 0.0

    def answer(self, message: Answer) -> None:
        """It was done."""
        self._finish(ANSWER, message)

    def refuse(self, refused: Refused) -> None:
        """It was not done."""
        self._finish(REFUSAL, Refusal(refused.code, refused.reason))

    def over(self, now: float) -> None:
        """The asker's time is over."""
        if self._peer is not None:
            self._peer.drop(self)

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        self._release()
        self.cancelled = True
        on_cancel, self.on_cancel = self.on_cancel, None
        if on_cancel is not None:
            on_cancel()

    def _finish(self, kind: int, message: Answer) -> None:
        peer = self._peer
        if peer is not None:
            self._release()
            self.on_cancel = None
            peer.reply(self, kind, message)

    def _release(self) -> None:
        self._flow.held -= self._held
        self._held = 0
        self._peer = None
        if self.expiry is not None:
            self.expiry.pop(self, None)
            self.expiry = None


class Stall:
    """The peer's credit is used up and messages wait; this says so until there is more."""

    __slots__ = ("peer", "since", "tries")

    def __init__(self, peer: Peer, since: float) -> None:
        self.peer = peer
        self.since = since
        self.tries = 0

    def again(self, now: float) -> None:
        """Still no credit."""
        self.peer.say_stalled(now, self)


class Idleness:
    """Watches whether granted credit is used."""

    __slots__ = ("peer", "session", "spent")

    def __init__(self, peer: Peer, session: Session) -> None:
        self.peer = peer
        self.session = session
        self.spent = session.outflow.spent

    def again(self, now: float) -> None:
        """Some time has passed."""
        self.peer.review_credit(now, self)


class Peer:
    """Everything between this node and one other."""

    __slots__ = (
        "_band",
        "_floor",
        "_heard",
        "_hinted",
        "_lowest",
        "_next_ticket",
        "_previous",
        "_quickest",
        "_stall",
        "_their_life",
        "_their_lowest",
        "_trouble",
        "_variation",
        "_waiting",
        "current",
        "desk",
        "level",
        "meeting",
        "node",
        "open",
        "replies",
        "round_trip",
    )

    def __init__(self, desk: Desk, node: NodeId) -> None:
        self.desk = desk
        self.node = node
        self.meeting = Meeting(desk, self)
        self.current: Session | None = None
        self._previous: Session | None = None
        self._their_life: int | None = None
        self._trouble = ""
        # the asking side
        self.open: dict[int, Asking] = {}
        self._next_ticket = 1
        self._lowest = 1
        self._waiting: dict[Asking | Telling, None] = {}
        self._stall: Stall | None = None
        # the answering side
        self.replies: dict[int, Reply] = {}
        self._their_lowest = 0
        self._floor = 0
        # round trips, seconds
        self.round_trip: float | None = None
        self._variation = 0.0
        self._quickest = 0.0
        self.level = desk.ladder.first
        self._band = desk.ladder.band(self.level)
        self._heard = -1.0
        self._hinted = -1.0

    # --- asking ------------------------------------------------------------------------------------------------

    def ask(
        self, now: float, role: Role, request: Request[Any], timeout: float, answered: Callable[[Outcome], None]
    ) -> Asking:
        """Begin an ask."""
        desk = self.desk
        asking = Asking(self, role, request, self._next_ticket, answered)
        if len(self.open) >= desk.settings.asks_open:
            desk.end_later(asking, Refused("overloaded", f"{len(self.open)} asks to {self.node} are open"))
            return asking
        self._next_ticket += 1
        self.open[asking.ticket] = asking
        asking.deadline = now + timeout
        asking.expiry = desk.deadlines.add(now, timeout, asking)
        if desk.reserve(asking, request.answer_room()):
            self.admit(now, asking)
        return asking

    def admit(self, now: float, asking: Asking) -> None:
        """There is room for the answer: send the ask, or let it wait for what it needs."""
        if self.current is None:
            self._waiting[asking] = None
            self.meeting.begin(now)
        elif self._waiting or not self._launch(now, self.current, asking):
            self._wait(now, asking)

    def tell(self, now: float, role: Role, message: Message) -> None:
        """Send a message once, as soon as there is a session and credit for it."""
        telling = Telling(role, message)
        if self.current is not None and not self._waiting and self._launch_tell(now, self.current, telling):
            return
        if len(self._waiting) >= self.desk.settings.asks_open:
            self.desk.counters["tell-dropped"] += 1
            return
        if self.current is None:
            self._waiting[telling] = None
            self.meeting.begin(now)
        else:
            self._wait(now, telling)

    def cancel(self, asking: Asking) -> None:
        """The asker lost interest: forget the ask, and tell the other side if it may know of it."""
        sent = asking.sent_at >= 0
        self._retire(asking)
        if sent:
            self._say(CANCEL, asking.ticket)

    def expire(self, asking: Asking) -> None:
        """No answer came in time."""
        length = asking.expiry.length if asking.expiry is not None else 0.0
        self.close(asking, Unanswered(self.node, length, self._why_unanswered(asking)))

    def close(self, asking: Asking, outcome: Outcome) -> None:
        """End an ask with this outcome."""
        answered = asking.answered
        if answered is not None:
            self._retire(asking)
            answered(outcome)

    def repeat(self, now: float, asking: Asking) -> None:
        """No answer came in a while: ask again, or ask whether the ask arrived."""
        desk = self.desk
        if asking.answered is None:
            return
        if not desk.waits_unsent(self.node):
            asking.tries += 1
            if asking.tries >= _SILENT_TRIES:
                self._doubt_session(now, asking.sent_at)
            if asking.size > desk.settings.bulk_bytes:
                self._say(PROBE, asking.ticket)
            elif asking not in self._waiting and (self.current is None or not self._launch(now, self.current, asking)):
                self._wait(now, asking)
        asking.repetition = desk.repetitions.add(now, desk.ladder.wait(self.level, asking.tries), asking)

    def _retire(self, asking: Asking) -> None:
        asking.answered = None
        asking.request = None
        if self.open.pop(asking.ticket, None) is None:
            return
        if asking.expiry is not None:
            asking.expiry.pop(asking, None)
        if asking.repetition is not None:
            asking.repetition.pop(asking, None)
        if self._waiting:
            self._waiting.pop(asking, None)
        self.desk.release(asking)
        if asking.ticket == self._lowest:
            self._advance_lowest()

    def _advance_lowest(self) -> None:
        ticket, end, tickets = self._lowest, self._next_ticket, self.open
        while ticket < end and ticket not in tickets:
            ticket += 1
        self._lowest = ticket

    def _why_unanswered(self, asking: Asking) -> str:
        if asking.sent_at >= 0 or self._trouble:
            return self._trouble
        if self.current is not None:
            return "it gave no room for the request"
        attempt = self.meeting.attempt
        if attempt is not None and attempt.opening is None:
            return "its key is not known"
        return "it did not shake hands"

    # --- sending -----------------------------------------------------------------------------------------------

    def _launch(self, now: float, session: Session, asking: Asking) -> bool:
        """Send an ask; False if there is no credit for it."""
        out = session.outflow
        remaining = int((asking.deadline - now) * 1000) + 1
        envelope = Envelope(
            asking.role, ASK, asking.ticket, remaining, self._lowest, self._grant(session), out.spent, asking.request
        )
        text, size = session.write(envelope)
        asking.size = size
        if out.spent + size > out.limit:
            if size > self.desk.settings.message_bytes:
                self.desk.end_later(asking, _too_large(size, self.desk.settings.message_bytes))
                return True
            return False
        if not self._dispatch(now, session, text, size):
            return False
        out.spent += size
        if asking.sent_at < 0:
            asking.sent_at = now
            desk = self.desk
            asking.repetition = desk.repetitions.add(now, desk.ladder.wait(self.level, 0), asking)
        return True

    def _launch_tell(self, now: float, session: Session, telling: Telling) -> bool:
        """Send a tell; False if there is no credit for it."""
        out = session.outflow
        envelope = Envelope(telling.role, TELL, 0, 0, self._lowest, self._grant(session), out.spent, telling.message)
        text, size = session.write(envelope)
        telling.size = size
        if size > self.desk.settings.message_bytes:
            self.desk.counters["tell-too-large"] += 1
            return True
        if out.spent + size > out.limit or not self._dispatch(now, session, text, size):
            return False
        out.spent += size
        return True

    def _say(self, kind: int, ticket: int = 0, role: Role = NOBODY, body: Any = None) -> int:
        """Send something that needs no credit; the size of the packet, 0 if there is no session to send it on."""
        session = self.current
        if session is None:
            return 0
        envelope = Envelope(role, kind, ticket, 0, self._lowest, self._grant(session), session.outflow.spent, body)
        text, size = session.write(envelope)
        if size > self.desk.settings.message_bytes:
            return self._say(REFUSAL, ticket, body=Refusal(*_too_large(size, self.desk.settings.message_bytes).args))
        return size if self._dispatch(self.desk.now, session, text, size) else 0

    def _grant(self, session: Session) -> int:
        inflow = session.inflow
        if self.desk.may_grant():
            return inflow.grant()
        self.desk.thirsty[self] = None
        return inflow.announced

    def _dispatch(self, now: float, session: Session, text: Any, size: int) -> bool:
        channel = BULK if size > self.desk.settings.bulk_bytes else CONTROL
        try:
            packet = session.seal(channel, text, size)
        except OverflowError:
            self._abandon_session(now)
            return False
        self.desk.transmit(self.node, channel, packet, size)
        return True

    def _abandon_session(self, now: float) -> None:
        """The counters are used up: nothing is sent any more before there are new keys."""
        if self.current is not None:
            self.desk.budget.release(self.current.inflow)
            self._previous, self.current = self.current, None
        self.meeting.begin(now)

    # --- waiting for credit ------------------------------------------------------------------------------------

    def _wait(self, now: float, thing: Asking | Telling) -> None:
        self._waiting[thing] = None
        if self.current is None:
            self.meeting.begin(now)
        elif self._stall is None:
            self._stall = Stall(self, now)
            self.say_stalled(now, self._stall)

    def _pump(self, now: float) -> None:
        """Send what waited, as far as there is credit."""
        session = self.current
        if session is None:
            return
        sent = []
        for thing in self._waiting:
            launch: Callable[[float, Session, Any], bool] = (
                self._launch if isinstance(thing, Asking) else self._launch_tell
            )
            if session.outflow.spent + thing.size > session.outflow.limit or not launch(now, session, thing):
                break
            sent.append(thing)
        for thing in sent:
            del self._waiting[thing]
        if self._waiting and self._stall is None and self.current is not None:
            self._stall = Stall(self, now)
            self.say_stalled(now, self._stall)
        elif sent and self._waiting and self._stall is not None:
            self._stall.tries = 0
        elif sent:
            self._stall = None

    def say_stalled(self, now: float, stall: Stall) -> None:
        """Tell the peer for how many bytes there is no credit."""
        if stall is not self._stall or not self._waiting or self.current is None:
            if stall is self._stall:
                self._stall = None
            return
        if stall.tries >= _SILENT_TRIES:
            self._doubt_session(now, stall.since)
        wanted = next(iter(self._waiting)).size
        self._say(CREDIT, max(wanted, 1))
        self.desk.repetitions.add(now, self.desk.ladder.wait(self.level, stall.tries), stall)
        stall.tries += 1

    def review_credit(self, now: float, idleness: Idleness) -> None:
        """Give back what was granted beyond the first window if none of it was used for a while."""
        out = idleness.session.outflow
        first = self.desk.settings.first_window
        if idleness.session is not self.current or out.surplus(first) <= 0:
            out.watched = False
        elif out.spent == idleness.spent and not self._waiting:
            out.watched = False
            out.give_back(first)
            self._say(RETURN)
        else:
            idleness.spent = out.spent
            self.desk.repetitions.add(now, IDLE_SECONDS, idleness)

    # --- receiving -----------------------------------------------------------------------------------------------

    def receive(self, now: float, channel: int, session_id: int, packet: Any, size: int) -> None:
        """Take a packet that claims to be of a session with this peer.

        Raises:
            Dropped: it must not have any effect.
        """
        session = self.current
        if session is None or session.id != session_id:
            session = self._other_session(now, session_id)
        envelope = session.open(channel, packet)
        if not session.confirmed:
            session.confirmed = True
            if session is not self.current and session is not self._previous:
                self.meeting.confirmed(now)
        if session is self.current:
            self._heard = now
        else:
            self._hint(now)
        if envelope.lowest > self._their_lowest:
            self._forget_answers(envelope.lowest)
        kind = envelope.kind
        if kind in (ANSWER, REFUSAL):
            self._note_credit(now, session, envelope, 0)
            self._on_answer(now, envelope)
        elif kind == ASK:
            self._note_credit(now, session, envelope, size)
            self._on_ask(now, session, envelope, size)
        else:
            self._note_credit(now, session, envelope, size if kind == TELL else 0)
            self._on_other(now, session, envelope)
        if self._waiting:
            self._pump(now)

    def _other_session(self, now: float, session_id: int) -> Session:
        if self._previous is not None and self._previous.id == session_id:
            return self._previous
        offered = self.meeting.offered(session_id)
        if offered is None:
            self.stray(now)
            raise Dropped("no-session")
        return offered

    def stray(self, now: float) -> None:
        """The peer talks on a session that we don't know: bring it to one that we both know."""
        if self.current is None:
            self.meeting.begin(now)
        else:
            self._hint(now)

    def _doubt_session(self, now: float, since: float) -> None:
        """Something was repeated in vain since then: if nothing at all is heard, the session may be lost."""
        if now - max(self._heard, since) >= self.desk.ladder.wait(self.level, 1):
            self.meeting.begin(now)

    def _hint(self, now: float) -> None:
        """Say something on the current session, which the peer seems not to talk on yet; if that is in vain, begin anew."""
        if self._hinted < 0 or now - self._hinted >= self.desk.ladder.wait(self.level, 0):
            if self._heard < self._hinted:
                self.meeting.begin(now)
            self._hinted = now
            self._say(CREDIT)

    def _note_credit(self, now: float, session: Session, envelope: Envelope, charged: int) -> None:
        out = session.outflow
        limit = envelope.limit
        if limit > out.limit:
            out.limit = limit
            if limit - out.spent > self.desk.settings.first_window and not out.watched:
                out.watched = True
                self.desk.repetitions.add(now, IDLE_SECONDS, Idleness(self, session))
        inflow = session.inflow
        seen = envelope.spent + charged
        if seen > inflow.seen:
            if charged and seen > inflow.announced:
                raise Dropped("over-credit")
            inflow.seen = seen
            if 2 * (seen - inflow.mark) >= inflow.window and session is self.current:
                self.desk.budget.arrived(now, inflow, self._quickest)
        elif charged and inflow.held > 2 * inflow.window:
            raise Dropped("over-credit")

    def _on_answer(self, now: float, envelope: Envelope) -> None:
        asking = self.open.get(envelope.ticket)
        if asking is None or asking.request is None:
            self.desk.counters["late-answer"] += 1
            return
        if asking.tries == 0:
            self.sample(now - asking.sent_at)
        outcome: Outcome
        body = envelope.body
        if envelope.kind == REFUSAL and isinstance(body, Refusal):
            outcome = Refused(body.code, body.reason)
        elif envelope.kind == ANSWER and isinstance(body, answer_type(type(asking.request))):
            outcome = body
        else:
            self.desk.counters["malformed"] += 1
            outcome = Unanswered(
                self.node, now - asking.sent_at, "it answered in words that this node does not understand"
            )
        self.close(asking, outcome)

    def _on_other(self, now: float, session: Session, envelope: Envelope) -> None:
        kind, ticket, desk = envelope.kind, envelope.ticket, self.desk
        if kind == TELL:
            if isinstance(envelope.body, Message) and not isinstance(envelope.body, Request):
                desk.deliver(self.node, envelope.role, envelope.body, None)
            else:
                desk.counters["unknown-message"] += 1
            self.offer_credit()
        elif kind == CREDIT:
            if ticket > 0:
                self._on_stalled(session, ticket)
        elif kind == RETURN:
            desk.budget.resize(session.inflow, 0)
        elif kind == CANCEL:
            reply = self.replies.get(ticket)
            if reply is not None and reply.working:
                self.drop(reply)
        elif kind == PROBE:
            self._on_probe(ticket)
        elif kind == MISSING:
            self._on_missing(now, ticket)
        elif kind != WORKING:
            desk.counters["malformed"] += 1

    def _on_stalled(self, session: Session, wanted: int) -> None:
        """The peer waits for room for a message of ``wanted`` bytes: give it if there is any, and say so again if it has it."""
        inflow = session.inflow
        if session is self.current:
            if wanted > inflow.window:
                self.desk.budget.resize(inflow, min(2 * wanted, 2 * self.desk.settings.message_bytes))
            self._say(CREDIT)

    def offer_credit(self) -> None:
        """Grant more if that is worth a packet."""
        if self.current is not None and self.current.inflow.overdue() and self.desk.may_grant():
            self._say(CREDIT)

    def _on_missing(self, now: float, ticket: int) -> None:
        asking = self.open.get(ticket)
        if asking is None or asking in self._waiting or self.current is None:
            return
        if not self._launch(now, self.current, asking):
            self._wait(now, asking)

    # --- answering -----------------------------------------------------------------------------------------------

    def _on_ask(self, now: float, session: Session, envelope: Envelope, size: int) -> None:
        ticket, desk = envelope.ticket, self.desk
        reply = self.replies.get(ticket)
        if reply is not None:
            desk.counters["duplicate"] += 1
            self._on_probe(ticket)
        elif ticket < self._their_lowest:
            desk.counters["stale"] += 1
        elif envelope.remaining <= 0:
            desk.counters["expired"] += 1
        elif not isinstance(envelope.body, Request):
            desk.counters["unknown-message"] += 1
            self._refuse(ticket, "unknown-message", "this node does not know such a request: upgrade it")
        elif self._is_full(now) or (ticket <= self._floor and not envelope.body.repeatable):
            self._floor = max(self._floor, ticket)
            desk.counters["overloaded"] += 1
            self._refuse(ticket, "overloaded", "too many answers are being kept")
        else:
            reply = Reply(self, session.inflow, size, envelope, now + min(envelope.remaining / 1000, LONGEST_WORK))
            self.replies[ticket] = reply
            desk.deliver(self.node, envelope.role, envelope.body, reply)
            if reply.working:
                reply.expiry = desk.deadlines.add(now, _whole_seconds(reply.deadline - now), reply)

    def reply(self, reply: Reply, kind: int, message: Answer) -> None:
        """Send what came of a request, and keep it unless the request may run again."""
        ticket = reply.ticket
        if self.replies.get(ticket) is not reply:
            return
        size = self._say(kind, ticket, body=message)
        if reply.repeatable:
            del self.replies[ticket]
        else:
            reply.kind, reply.body, reply.size = kind, message, size
            self.desk.answer_bytes += size

    def drop(self, reply: Reply) -> None:
        """Nobody waits for this any more: stop, and never execute it again."""
        if reply.repeatable:
            self.replies.pop(reply.ticket, None)
        reply.cancel()
        self.offer_credit()

    def _on_probe(self, ticket: int) -> None:
        """Say where an ask stands."""
        reply = self.replies.get(ticket)
        if reply is None:
            if ticket >= self._their_lowest:
                self._say(MISSING, ticket)
        elif reply.working:
            self._say(WORKING, ticket)
        elif not reply.cancelled:
            self._say(reply.kind, ticket, body=reply.body)

    def _refuse(self, ticket: int, code: str, reason: str) -> None:
        self._say(REFUSAL, ticket, body=Refusal(code, reason))

    def _forget_answers(self, lowest: int) -> None:
        """The peer has ended all its asks below ``lowest``."""
        replies = self.replies
        if lowest - self._their_lowest > len(replies):
            ended = [ticket for ticket in replies if ticket < lowest]
        else:
            ended = [ticket for ticket in range(self._their_lowest, lowest) if ticket in replies]
        self._their_lowest = lowest
        for ticket in ended:
            self._forget_answer(ticket)

    def _forget_answer(self, ticket: int) -> None:
        reply = self.replies.pop(ticket)
        self.desk.answer_bytes -= reply.size
        if reply.working:
            reply.cancel()

    def _is_full(self, now: float) -> bool:
        """Whether no more answers can be kept, not even after those were forgotten that nobody can ask for."""
        desk = self.desk
        if desk.answer_bytes >= desk.settings.answer_bytes_kept:
            desk.sweep(now)
        if len(self.replies) >= desk.settings.answers_kept:
            self.forget_expired(now)
        return len(self.replies) >= desk.settings.answers_kept or desk.answer_bytes >= desk.settings.answer_bytes_kept

    def forget_expired(self, now: float) -> None:
        """Forget kept answers whose asker has given up, and that none of their tickets may be executed again."""
        ended = [ticket for ticket, reply in self.replies.items() if reply.deadline < now and not reply.working]
        for ticket in ended:
            self._forget_answer(ticket)
            self._floor = max(self._floor, ticket)

    # --- sessions --------------------------------------------------------------------------------------------------

    def adopt(self, now: float, session: Session) -> None:
        """Talk on this session from now on, and on no older one if the peer has begun a new life."""
        old = self.current
        if old is not None:
            self.desk.budget.release(old.inflow)
        if session.life == self._their_life:
            self._previous = old or self._previous
        else:
            self._start_over()
        self.current = session
        self._their_life = session.life
        self._heard = now
        self._hinted = -1.0
        self._stall = None
        self._trouble = ""
        self.desk.half_open.pop(self.node, None)
        spent = session.outflow.spent
        self._pump(now)
        if session.outflow.spent == spent and not session.confirmed:
            self._say(CREDIT)

    def _start_over(self) -> None:
        """The peer remembers nothing: what it was asked is lost, what it asked is of no interest."""
        self._previous = None
        for asking in tuple(self.open.values()):
            if asking.sent_at >= 0:
                lost = Unanswered(self.node, max(self.desk.now - asking.sent_at, 0.0), "it was restarted")
                self.desk.end_later(asking, lost)
        self._void_replies()
        self._their_lowest = 0
        self._floor = 0

    def _void_replies(self) -> None:
        for ticket in tuple(self.replies):
            self._forget_answer(ticket)

    def forget(self, reason: str) -> None:
        """The peer is gone: end everything."""
        if self.current is not None:
            self.desk.budget.release(self.current.inflow)
        self.current = self._previous = self._stall = None
        self.meeting.forget()
        self._waiting.clear()
        self._void_replies()
        self._end_all(reason)

    def wants_session(self) -> bool:
        """Whether an ask waits for a session."""
        return bool(self.open)

    def no_session(self, reason: str) -> None:
        """There won't be a session, for this reason."""
        self._trouble = reason
        if self.current is None:
            self._end_all(reason)

    def gave_up(self) -> None:
        """No session came about, and nothing waits for one but tells."""
        if self.current is None:
            self.desk.counters["tell-dropped"] += len(self._waiting)
            self._waiting.clear()

    def spoke_strangely(self, version: int) -> None:
        """A packet of a protocol version came that we don't know; it may be the reason why nothing else comes."""
        self._trouble = str(
            VersionMismatch(f"upgrade this node: {self.node} sent a packet of protocol version {version}")
        )

    def _end_all(self, reason: str) -> None:
        for asking in tuple(self.open.values()):
            seconds = max(self.desk.now - asking.sent_at, 0.0) if asking.sent_at >= 0 else 0.0
            self.desk.end_later(asking, Unanswered(self.node, seconds, reason))

    # --- round trips ---------------------------------------------------------------------------------------------

    def sample(self, seconds: float) -> None:
        """A round trip took so long: adapt the wait before a repetition (RFC 6298)."""
        mean = self.round_trip
        if mean is None:
            self.round_trip = self._quickest = seconds
            self._variation = seconds / 2
        else:
            away = seconds - mean
            self.round_trip = mean + away / 8
            self._variation += (abs(away) - self._variation) / 4
            self._quickest = min(self._quickest, seconds)
        low, high = self._band
        wait = self.round_trip + 4 * self._variation
        if not low < wait <= high:
            self.level = self.desk.ladder.level(wait)
            self._band = self.desk.ladder.band(self.level)


@lru_cache(maxsize=1024)
def answer_type(kind: type[Request[Any]]) -> type[Answer]:
    """The answer that a request names: ``R`` of ``class Kind(Request[R])``."""
    for base in getattr(kind, "__orig_bases__", ()):
        origin = get_origin(base)
        if isinstance(origin, type) and issubclass(origin, Request):
            named = get_args(base)[0]
            return named if isinstance(named, type) else Answer
    return Answer


def _whole_seconds(seconds: float) -> float:
    """Rounded up: what is being worked on for others is stopped in a few queues, not to the millisecond."""
    return float(ceil(seconds))


def _too_large(size: int, most: int) -> Refused:
    return Refused("too-large", f"a message may have {most} bytes, this one has {size}")
