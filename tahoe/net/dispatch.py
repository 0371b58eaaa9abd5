"""Hands messages to the actors of a node: a story for each, whose end is the reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from tahoe.context import Actor
from tahoe.errors import Refused, TahoeError
from tahoe.net.story import Stories
from tahoe.protocol import Answer, Message, NodeId, Role


class Replying(Protocol):
    """Where the outcome of a handler goes."""

    on_cancel: Callable[[], None] | None
    cancelled: bool

    def answer(self, message: Answer) -> None:
        """The handler returned this."""

    def refuse(self, refused: Refused) -> None:
        """The handler refused."""


class Delivery(NamedTuple):
    """A message that came for an actor; ``reply`` is None for one that was told."""

    sender: NodeId
    role: Role
    message: Message
    reply: Replying | None


class Dispatch:
    """The way in for messages.

    Args:
        actors: by role.
        stories: of the node.
    """

    def __init__(self, actors: Mapping[Role, Actor], stories: Stories) -> None:
        self._actors = actors
        self._stories = stories
        self._early: list[Delivery] | None = []

    def deliver(self, delivery: Delivery) -> None:
        """Take a message; while actors start, it waits."""
        if self._early is None:
            self._handle(delivery)
        else:
            self._early.append(delivery)

    def open(self) -> None:
        """All actors have started."""
        early, self._early = self._early, None
        for delivery in early or ():
            self._handle(delivery)

    def _handle(self, delivery: Delivery) -> None:
        if delivery.reply is None:
            self._stories.spawn(self._receive(delivery))
        elif not delivery.reply.cancelled:
            delivery.reply.on_cancel = self._stories.spawn(self._receive(delivery)).cancel

    async def _receive(self, delivery: Delivery) -> None:
        """Run the handler. What is neither an answer nor a refusal is a bug: the asker and the log both hear of it."""
        reply = delivery.reply
        try:
            answer = await self._actor(delivery.role).receive(delivery.sender, delivery.message)
        except TahoeError as error:
            if reply is not None:
                reply.refuse(error if isinstance(error, Refused) else Refused(type(error).__name__, str(error)))
        except Exception as error:
            if reply is not None:
                reply.refuse(Refused("bug", f"{type(error).__name__} in {delivery.role}; see that node's log"))
            raise
        else:
            if reply is not None:
                assert answer is not None, f"{type(delivery.message).__name__} got no answer"
                reply.answer(answer)

    def _actor(self, role: Role) -> Actor:
        actor = self._actors.get(role)
        if actor is None:
            raise Refused("no-such-role", f"this node is no {role}")
        return actor
