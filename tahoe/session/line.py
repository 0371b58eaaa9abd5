"""The line to one peer: sessions, packets, and the credit they cost, whatever is said in them.

Nothing is ever sent but on the current session. What needs credit and finds none waits here in order; as long as
anything does, the peer is told from time to time how much room is wanted, so that a lost grant is granted again.
"""

from __future__ import annotations

from typing import Any, Final

from tahoe.errors import Refused
from tahoe.protocol import NodeId, Refusal
from tahoe.session.desk import Desk
from tahoe.session.envelope import BULK, CONTROL, CREDIT, NOBODY, REFUSAL, RETURN, Envelope
from tahoe.session.meeting import Meeting
from tahoe.session.sealing import Dropped, Session

IDLE_SECONDS: Final = 10.0
"""A sender that was idle for so long gives back credit."""

SILENT_TRIES: Final = 2
"""Repetitions after which silence makes us doubt the session."""


class Parcel:
    """Something that costs credit. ``size`` is that of its packet, 0 before it was first measured."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0


class Stall:
    """Parcels wait for credit; this says so until there is more."""

    __slots__ = ("line", "since", "tries")

    def __init__(self, line: Line, since: float) -> None:
        self.line = line
        self.since = since
        self.tries = 0

    def again(self, now: float) -> None:
        """Still no credit."""
        self.line.say_stalled(now, self)


class Idleness:
    """Watches whether granted credit is used."""

    __slots__ = ("line", "session", "spent")

    def __init__(self, line: Line, session: Session) -> None:
        self.line = line
        self.session = session
        self.spent = session.outflow.spent

    def again(self, now: float) -> None:
        """Some time has passed."""
        self.line.review_credit(now, self)


class Line:
    """The line to one peer. Subclasses say what the envelopes mean."""

    __slots__ = (
        "_band",
        "_heard",
        "_hinted",
        "_previous",
        "_quickest",
        "_stall",
        "_their_life",
        "_variation",
        "_waiting",
        "current",
        "desk",
        "level",
        "lowest",
        "meeting",
        "node",
        "round_trip",
        "trouble",
    )

    def __init__(self, desk: Desk, node: NodeId) -> None:
        self.desk = desk
        self.node = node
        self.meeting = Meeting(desk, self)
        self.current: Session | None = None
        self.lowest = 1
        self.trouble = ""
        self._previous: Session | None = None
        self._their_life: int | None = None
        self._waiting: dict[Any, None] = {}
        self._stall: Stall | None = None
        self._heard = -1.0
        self._hinted = -1.0
        self.round_trip: float | None = None
        self._variation = 0.0
        self._quickest = 0.0
        self.level = desk.ladder.first
        self._band = desk.ladder.band(self.level)

    @property
    def heard(self) -> float | None:
        """When something last came by the present session, in the seconds of the clock; None: never."""
        return None if self._heard < 0 else self._heard

    # --- what subclasses add ---------------------------------------------------------------------------------

    def launch(self, now: float, session: Session, parcel: Any) -> bool:
        """Send a parcel; False if there is no credit for it."""
        raise NotImplementedError

    def understand(self, now: float, session: Session, envelope: Envelope, size: int) -> None:
        """Do what an authentic, new envelope says."""
        raise NotImplementedError

    def start_over(self) -> None:
        """The peer remembers nothing of us."""
        raise NotImplementedError

    def carry_over(self, session: Session) -> None:
        """The peer remembers everything, only the keys are new."""
        raise NotImplementedError

    def end_all(self, reason: str) -> None:
        """No ask will be answered, for this reason."""
        raise NotImplementedError

    def wants_session(self) -> bool:
        """Whether an ask waits for a session."""
        raise NotImplementedError

    # --- out -------------------------------------------------------------------------------------------------------

    def say(self, kind: int, ticket: int = 0, body: Any = None) -> int:
        """Send something that needs no credit; the size of the packet, 0 if there is no session to send it on."""
        session = self.current
        if session is None:
            return 0
        envelope = Envelope(NOBODY, kind, ticket, 0, self.lowest, self.grant(session), session.outflow.spent, body)
        text, size = session.write(envelope)
        if size > self.desk.settings.message_bytes:
            refused = too_large(size, self.desk.settings.message_bytes)
            return self.say(REFUSAL, ticket, Refusal(refused.code, refused.reason))
        return size if self.dispatch(session, text, size) else 0

    def grant(self, session: Session) -> int:
        """The limit to announce in the next envelope."""
        if self.desk.limits_download and not self.desk.may_grant():
            self.desk.thirsty[self] = None
            return session.inflow.announced
        return session.inflow.grant()

    def dispatch(self, session: Session, text: Any, size: int) -> bool:
        """Seal and transmit; False if the session's counters are used up."""
        desk = self.desk
        channel = BULK if size > desk.settings.bulk_bytes else CONTROL
        try:
            packet = session.seal(channel, text, size)
        except OverflowError:
            self._abandon_session()
            return False
        desk.transmit(self.node, channel, packet, size)
        return True

    def _abandon_session(self) -> None:
        """Nothing is sent any more before there are new keys."""
        if self.current is not None:
            self.desk.budget.release(self.current.inflow)
            self._previous, self.current = self.current, None
        self.meeting.begin(self.desk.now)

    # --- credit to send ------------------------------------------------------------------------------------------

    def wait(self, now: float, parcel: Any) -> None:
        """Send a parcel as soon as there is a session, and credit for it."""
        self._waiting[parcel] = None
        if self.current is None:
            self.meeting.begin(now)
        elif self._stall is None:
            self._begin_stall(now)

    def unqueue(self, parcel: Any) -> None:
        """Don't send this any more."""
        if self._waiting:
            self._waiting.pop(parcel, None)

    def _pump(self, now: float) -> None:
        """Send what waited, as far as there is credit."""
        session = self.current
        if session is None:
            return
        out, sent = session.outflow, []
        for parcel in self._waiting:
            if out.spent + parcel.size > out.limit or not self.launch(now, session, parcel):
                break
            sent.append(parcel)
        for parcel in sent:
            del self._waiting[parcel]
        if not self._waiting:
            self._stall = None
        elif self._stall is None:
            self._begin_stall(now)
        elif sent:
            self._stall.tries = 0

    def _begin_stall(self, now: float) -> None:
        self._stall = Stall(self, now)
        self.say_stalled(now, self._stall)

    def say_stalled(self, now: float, stall: Stall) -> None:
        """Tell the peer for how many bytes there is no credit."""
        if stall is not self._stall:
            return
        if not self._waiting or self.current is None:
            self._stall = None
            return
        if stall.tries >= SILENT_TRIES:
            self.doubt_session(now, stall.since, self.desk.ladder.wait(self.level, stall.tries - 1))
        wanted = next(iter(self._waiting)).size
        self.say(CREDIT, max(wanted, 1))
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
            self.say(RETURN)
        else:
            idleness.spent = out.spent
            self.desk.repetitions.add(now, IDLE_SECONDS, idleness)

    # --- in --------------------------------------------------------------------------------------------------------

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
        out = session.outflow
        limit = envelope.limit
        if limit > out.limit:
            out.limit = limit
            if limit - out.spent > self.desk.settings.first_window and not out.watched:
                out.watched = True
                self.desk.repetitions.add(now, IDLE_SECONDS, Idleness(self, session))
        self.understand(now, session, envelope, size)
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

    def note_spent(self, now: float, session: Session, spent: int) -> None:
        """The peer says that it has spent so much, charged packets included that have not come.

        Raises:
            Dropped: that is more than it was granted.
        """
        inflow = session.inflow
        if spent <= inflow.seen:
            return
        if spent > inflow.announced:
            raise Dropped("over-credit")
        inflow.seen = spent
        if 2 * (spent - inflow.mark) >= inflow.window and session is self.current:
            self.desk.budget.arrived(now, inflow, self._quickest)

    def give_credit(self, session: Session, wanted: int) -> None:
        """The peer waits for room for a message of ``wanted`` bytes: give it if there is any, and say so (again)."""
        if session is self.current:
            if wanted > session.inflow.window:
                self.desk.budget.resize(session.inflow, min(2 * wanted, 2 * self.desk.settings.message_bytes))
            self.say(CREDIT)

    def take_back_credit(self, session: Session) -> None:
        """The peer was idle and has spent its surplus on nothing."""
        if session is self.current:
            self.desk.budget.resize(session.inflow, 0)

    def offer_credit(self) -> None:
        """Grant more if that is worth a packet."""
        if self.current is not None and self.current.inflow.overdue() and self.desk.may_grant():
            self.say(CREDIT)

    # --- sessions --------------------------------------------------------------------------------------------------

    def stray(self, now: float) -> None:
        """The peer talks on a session that we don't know: bring it to one that we both know."""
        if self.current is None:
            self.meeting.begin(now)
        else:
            self._hint(now)

    def _hint(self, now: float) -> None:
        """Say something on the current session, which the peer seems not to use yet; if that is in vain, begin anew."""
        if self._hinted < 0 or now - self._hinted >= self.desk.ladder.wait(self.level, 0):
            if self._heard < self._hinted:
                self.meeting.begin(now)
            self._hinted = now
            self.say(CREDIT)

    def doubt_session(self, now: float, since: float, waited: float) -> None:
        """Something is repeated once more; if nothing at all was heard after the last time, the session may be lost.

        Args:
            now: monotonic seconds.
            since: when it was first sent.
            waited: seconds since the last repetition; there was at least one.
        """
        if now - max(self._heard, since) > 1.25 * waited:
            self.meeting.begin(now)

    def adopt(self, now: float, session: Session) -> None:
        """Talk on this session from now on, and on no older one if the peer has begun a new life."""
        old = self.current
        if old is not None:
            self.desk.budget.release(old.inflow)
        if session.life == self._their_life:
            self._previous = old or self._previous
            self.carry_over(session)
        else:
            self._previous = None
            self.start_over()
        self.current = session
        self._their_life = session.life
        self._heard = now
        self._hinted = -1.0
        self._stall = None
        self.trouble = ""
        self.desk.half_open.pop(self.node, None)
        self._pump(now)
        if not session.confirmed and not session.outflow.spent:
            self.say(CREDIT)

    def forget(self, reason: str) -> None:
        """The peer is gone: end everything."""
        if self.current is not None:
            self.desk.budget.release(self.current.inflow)
        self.current = self._previous = self._stall = None
        self.meeting.forget()
        self._waiting.clear()
        self.end_all(reason)
        self.start_over()

    def no_session(self, reason: str) -> None:
        """There won't be a session, for this reason."""
        self.trouble = reason
        if self.current is None:
            self.end_all(reason)

    def gave_up(self) -> None:
        """No session came about, and nothing waits for one but tells."""
        if self.current is None:
            self.desk.counters["tell-dropped"] += len(self._waiting)
            self._waiting.clear()

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


def too_large(size: int, most: int) -> Refused:
    """What becomes of a message that no packet may carry."""
    return Refused("too-large", f"a message may have {most} bytes, this one has {size}")
