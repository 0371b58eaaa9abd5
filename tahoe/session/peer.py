"""One conversation: the asks and tells between this node and one other.

The asking side gives every ask a ticket, which stays the same however often the ask is repeated, and says
in every envelope which of its tickets is the lowest still open. The answering side keeps, per ticket, what it
is working on and what it has answered (unless the request may simply run again)::

        lowest open                                     next ticket
            |   12     13     14     15     16     17     |
            | asked  done   asked  asked  done   asked    |      asking side
            | kept   kept   works   -     kept    -       |      answering side: 15 and 17 were lost,
                                                                 everything below 12 is forgotten

A repeated ask meets its kept answer and is not executed again. A large ask that is late is not sent again at
once: a small probe asks whether it arrived.

A tell has no ticket: it is sent once, and the replay window of its session drops every copy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

from tahoe.errors import Refused, Unanswered, VersionMismatch
from tahoe.protocol import Answer, Message, NodeId, Refusal, Request, Role
from tahoe.session.answers import Answers, Reply
from tahoe.session.asking import Asking, Outcome, answer_type
from tahoe.session.desk import Desk
from tahoe.session.envelope import (
    ANSWER,
    ASK,
    CANCEL,
    CREDIT,
    MISSING,
    PROBE,
    REFUSAL,
    RETURN,
    TELL,
    WORKING,
    Envelope,
)
from tahoe.session.line import SILENT_TRIES, Line, Parcel, too_large
from tahoe.session.sealing import Dropped, Session


class Telling(Parcel):
    """A message that is told."""

    __slots__ = ("message", "role")

    def __init__(self, role: Role, message: Message) -> None:
        super().__init__()
        self.role = role
        self.message = message


class Peer(Line):
    """Everything between this node and one other."""

    __slots__ = ("_next_ticket", "answers", "open")

    def __init__(self, desk: Desk, node: NodeId) -> None:
        super().__init__(desk, node)
        self.open: dict[int, Asking] = {}
        self._next_ticket = 1
        self.answers = Answers(desk)

    # --- asking ------------------------------------------------------------------------------------------------

    def ask(
        self, now: float, role: Role, request: Request[Any], timeout: float, answered: Callable[[Outcome], None]
    ) -> Asking:
        """Begin an ask."""
        desk = self.desk
        ticket = self._next_ticket
        asking = Asking(self, role, request, ticket, answered)
        if len(self.open) >= desk.settings.asks_open:
            desk.end_later(asking, Refused("overloaded", f"{len(self.open)} asks to {self.node} are open"))
            return asking
        self._next_ticket = ticket + 1
        self.open[ticket] = asking
        asking.deadline = now + timeout
        asking.expiry = desk.deadlines.add(now, timeout, asking)
        if desk.reserve(asking, request.answer_room()):
            self.admit(now, asking)
        return asking

    def admit(self, now: float, asking: Asking) -> None:
        """There is room for the answer: send the ask, or let it wait for what else it needs."""
        session = self.current
        if session is None or self._waiting or not self._launch_ask(now, session, asking):
            self.wait(now, asking)

    def cancel(self, asking: Asking) -> None:
        """The asker lost interest: forget the ask, and tell the other side if it may know of it."""
        self._retire(asking)
        if asking.sent_at >= 0:
            self.say(CANCEL, asking.ticket)

    def expire(self, asking: Asking) -> None:
        """No answer came in time."""
        seconds = asking.expiry.length if asking.expiry is not None else 0.0
        self.close(asking, Unanswered(self.node, seconds, self._why_unanswered(asking)))

    def close(self, asking: Asking, outcome: Outcome) -> None:
        """End an ask with this outcome."""
        answered = asking.answered
        if answered is not None:
            self._retire(asking)
            answered(outcome)

    def repeat(self, now: float, asking: Asking) -> None:
        """No answer came in a while: ask again, or ask whether the ask arrived."""
        desk = self.desk
        if not desk.waits_unsent(self.node):
            asking.tries += 1
            if asking.tries >= SILENT_TRIES and asking.repetition is not None:
                self.doubt_session(now, asking.sent_at, asking.repetition.length)
            if asking.size > desk.settings.bulk_bytes:
                self.say(PROBE, asking.ticket)
            else:
                self._resend(now, asking)
        asking.repetition = desk.repetitions.add(now, desk.ladder.wait(self.level, asking.tries), asking)

    def _resend(self, now: float, asking: Asking) -> None:
        if asking not in self._waiting and (self.current is None or not self._launch_ask(now, self.current, asking)):
            self.wait(now, asking)

    def _retire(self, asking: Asking) -> None:
        asking.answered = None
        asking.request = None
        if self.open.pop(asking.ticket, None) is not asking:
            return
        if asking.expiry is not None:
            asking.expiry.pop(asking, None)
        if asking.repetition is not None:
            asking.repetition.pop(asking, None)
        self.unqueue(asking)
        self.desk.release(asking)
        if asking.ticket == self.lowest:
            self._advance_lowest()

    def _advance_lowest(self) -> None:
        ticket, end, tickets = self.lowest, self._next_ticket, self.open
        while ticket < end and ticket not in tickets:
            ticket += 1
        self.lowest = ticket

    def _why_unanswered(self, asking: Asking) -> str:
        if asking.sent_at >= 0 or self.trouble:
            return self.trouble
        if self.current is not None:
            return "it gave no room for the request"
        attempt = self.meeting.attempt
        if attempt is not None and attempt.opening is None:
            return "its key is not known"
        return "it did not shake hands"

    # --- sending -----------------------------------------------------------------------------------------------

    def launch(self, now: float, session: Session, parcel: Any) -> bool:
        """Send a parcel; False if there is no credit for it."""
        if isinstance(parcel, Asking):
            return self._launch_ask(now, session, parcel)
        return self._launch_tell(session, parcel)

    def _launch_ask(self, now: float, session: Session, asking: Asking) -> bool:
        desk, out = self.desk, session.outflow
        remaining = int((asking.deadline - now) * 1000) + 1
        envelope = Envelope(
            asking.role, ASK, asking.ticket, remaining, self.lowest, self.grant(session), out.spent, asking.request
        )
        text, size = session.write(envelope)
        asking.size = size
        if size > desk.settings.message_bytes:
            desk.end_later(asking, too_large(size, desk.settings.message_bytes))
            return True
        if out.spent + size > out.limit or not self.dispatch(session, text, size):
            return False
        out.spent += size
        if asking.sent_at < 0:
            asking.sent_at = now
            asking.repetition = desk.repetitions.add(now, desk.ladder.wait(self.level, 0), asking)
        return True

    def tell(self, now: float, role: Role, message: Message) -> None:
        """Send a message once, as soon as there is a session and credit for it."""
        telling = Telling(role, message)
        session = self.current
        if session is not None and not self._waiting and self._launch_tell(session, telling):
            return
        if len(self._waiting) >= self.desk.settings.asks_open:
            self.desk.counters["tell-dropped"] += 1
        else:
            self.wait(now, telling)

    def _launch_tell(self, session: Session, telling: Telling) -> bool:
        out = session.outflow
        envelope = Envelope(telling.role, TELL, 0, 0, self.lowest, self.grant(session), out.spent, telling.message)
        text, size = session.write(envelope)
        telling.size = size
        if size > self.desk.settings.message_bytes:
            self.desk.counters["tell-too-large"] += 1
            return True
        if out.spent + size > out.limit or not self.dispatch(session, text, size):
            return False
        out.spent += size
        return True

    # --- receiving ---------------------------------------------------------------------------------------------

    def understand(self, now: float, session: Session, envelope: Envelope, size: int) -> None:
        """Do what an authentic, new envelope says."""
        kind = envelope.kind
        answers = self.answers
        if envelope.lowest > answers.lowest:
            answers.forget_below(envelope.lowest)
        if kind == ASK:
            self.note_spent(now, session, envelope.spent + size)
            self._on_ask(now, session, envelope, size)
            return
        if kind == TELL:
            self.note_spent(now, session, envelope.spent + size)
            self._on_tell(envelope)
            return
        self.note_spent(now, session, envelope.spent)
        if kind == ANSWER or kind == REFUSAL:  # noqa: PLR1714, SIM109 - hot path: no tuple is built
            self._on_answer(now, envelope)
        elif kind in (CREDIT, RETURN):
            self._on_credit(session, kind, envelope.ticket)
        else:
            self._on_news_of_ask(now, kind, envelope.ticket)

    def _on_answer(self, now: float, envelope: Envelope) -> None:
        asking = self.open.get(envelope.ticket)
        if asking is None or asking.request is None:
            self.desk.counters["late-answer"] += 1
            return
        if asking.tries == 0:
            self.sample(now - asking.sent_at)
        body = envelope.body
        if envelope.kind == ANSWER and isinstance(body, answer_type(type(asking.request))):
            self.close(asking, body)
        elif envelope.kind == REFUSAL and isinstance(body, Refusal):
            self.close(asking, Refused(body.code, body.reason))
        else:
            self.desk.counters["malformed"] += 1
            reason = "it answered in words that this node does not understand"
            self.close(asking, Unanswered(self.node, now - asking.sent_at, reason))

    def _on_tell(self, envelope: Envelope) -> None:
        message = envelope.body
        if isinstance(message, Message) and not isinstance(message, Request):
            self.desk.deliver(self.node, envelope.role, message, None)
        else:
            self.desk.counters["unknown-message"] += 1
        self.offer_credit()

    def _on_credit(self, session: Session, kind: int, wanted: int) -> None:
        if kind == RETURN:
            self.take_back_credit(session)
        elif wanted > 0:
            self.give_credit(session, wanted)

    def _on_news_of_ask(self, now: float, kind: int, ticket: int) -> None:
        if kind == CANCEL:
            reply = self.answers.replies.get(ticket)
            if reply is not None and reply.working:
                self.drop(reply)
        elif kind == PROBE:
            self._say_where(ticket)
        elif kind == MISSING:
            asking = self.open.get(ticket)
            if asking is not None and asking.sent_at >= 0:
                self._resend(now, asking)
        elif kind != WORKING:
            self.desk.counters["malformed"] += 1

    # --- answering -----------------------------------------------------------------------------------------------

    def _on_ask(self, now: float, session: Session, envelope: Envelope, size: int) -> None:
        ticket, desk, answers = envelope.ticket, self.desk, self.answers
        if ticket in answers.replies:
            desk.counters["duplicate"] += 1
            self._say_where(ticket)
        elif answers.is_leaving(self.node, ticket):
            desk.counters["duplicate"] += 1
            self.say(WORKING, ticket)
        elif ticket < answers.lowest:
            desk.counters["stale"] += 1
        elif envelope.remaining <= 0:
            desk.counters["expired"] += 1
        elif not isinstance(envelope.body, Request):
            desk.counters["unknown-message"] += 1
            self._refuse(ticket, "unknown-message", f"{desk.node} does not know such a request: upgrade it")
        elif session.inflow.held > 2 * session.inflow.window:
            raise Dropped("over-credit")
        elif answers.refuses(now, envelope):
            desk.counters["overloaded"] += 1
            self._refuse(ticket, "overloaded", "too many answers are being kept")
        else:
            self._work(now, session, envelope, size)

    def _work(self, now: float, session: Session, envelope: Envelope, size: int) -> None:
        reply = Reply(self, session.inflow, size, envelope, now)
        self.answers.replies[envelope.ticket] = reply
        self.desk.deliver(self.node, envelope.role, envelope.body, reply)
        if reply.working:
            # Whole seconds, so that what is being worked on for others waits in few queues.
            reply.expiry = self.desk.deadlines.add(now, float(ceil(reply.deadline - now)), reply)

    def reply(self, reply: Reply, kind: int, message: Answer) -> None:
        """Send what came of a request, and keep it unless the request may run again."""
        size = self.say(kind, reply.ticket, message)
        self.answers.keep(reply, kind, message, size)

    def drop(self, reply: Reply) -> None:
        """Nobody waits for this any more: stop, and never execute it again."""
        if reply.repeatable:
            self.answers.replies.pop(reply.ticket, None)
        reply.cancel()
        self.offer_credit()

    def _say_where(self, ticket: int) -> None:
        """Say where an ask stands."""
        reply = self.answers.replies.get(ticket)
        if reply is None:
            if ticket >= self.answers.lowest:
                self.say(MISSING, ticket)
        elif reply.working:
            self.say(WORKING, ticket)
        elif not reply.cancelled:
            self.say(reply.kind, ticket, reply.body)

    def _refuse(self, ticket: int, code: str, reason: str) -> None:
        self.say(REFUSAL, ticket, Refusal(code, reason))

    # --- sessions ------------------------------------------------------------------------------------------------

    def wants_session(self) -> bool:
        """Whether an ask waits for a session."""
        return bool(self.open)

    def start_over(self) -> None:
        """The peer remembers nothing: what it was asked is lost, what it asked is of no interest."""
        for asking in tuple(self.open.values()):
            if asking.sent_at >= 0:
                seconds = max(self.desk.now - asking.sent_at, 0.0)
                self.unqueue(asking)  # it must not be sent to the new life
                self.desk.end_later(asking, Unanswered(self.node, seconds, "it was restarted"))
        self.answers.forget_all()

    def carry_over(self, session: Session) -> None:
        """The peer remembers everything: what we work on for it is held against its new credit."""
        self.answers.charge(session.inflow)

    def end_all(self, reason: str) -> None:
        """No ask will be answered, for this reason."""
        for asking in tuple(self.open.values()):
            seconds = max(self.desk.now - asking.sent_at, 0.0) if asking.sent_at >= 0 else 0.0
            self.desk.end_later(asking, Unanswered(self.node, seconds, reason))

    def spoke_strangely(self, version: int) -> None:
        """A packet of a protocol version came that we don't know; it may be why nothing else comes."""
        reason = f"upgrade this node: {self.node} sent a packet of protocol version {version}"
        self.trouble = str(VersionMismatch(reason))
