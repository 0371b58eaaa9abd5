"""The MQTT topics of a grid: how they are spelled and what one says about a packet.

::

    tahoe/1/<grid>/n/<node>/in/<sender>      packets for a node: questions, answers, credit
    tahoe/1/<grid>/n/<node>/bulk/<sender>    packets for a node that carry shares
    tahoe/1/<grid>/n/<node>/state            retained: the node's signed presence

The sender stands in the topic so that a broker whose user names are node ids can forbid spoofing with
one rule: users write ``tahoe/1/+/n/+/+/%u``. Nothing in this code trusts the topic; the session proves
who sent a packet.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from tahoe.protocol import NodeId

CONTROL: Final = "in"
"""Channel of small packets, which must not wait behind large ones."""

BULK: Final = "bulk"
"""Channel of packets that carry share data."""

CHANNELS: Final = (CONTROL, BULK)

_ROOT: Final = "tahoe/1"
_STATE: Final = "state"
_REMEMBERED: Final = (
    4096  # as many nodes twice over; making a name or reading one costs as much as a small packet's rest
)


class Arrival(NamedTuple):
    """What a topic says of a packet: by which channel it came, and who claims to have sent it."""

    channel: str
    sender: NodeId


@lru_cache(maxsize=_REMEMBERED)
def packets(grid_id: str, to: NodeId, channel: str, sender: NodeId) -> str:
    """The topic of packets from one node to another."""
    return f"{_ROOT}/{grid_id}/n/{to}/{channel}/{sender}"


def packets_for(grid_id: str, node: NodeId, channel: str) -> str:
    """The filter a node subscribes to for one channel."""
    return f"{_ROOT}/{grid_id}/n/{node}/{channel}/+"


def presence(grid_id: str, node: NodeId) -> str:
    """The topic that retains a node's presence."""
    return f"{_ROOT}/{grid_id}/n/{node}/{_STATE}"


def presence_of_all(grid_id: str) -> str:
    """The filter for everybody's presence."""
    return f"{_ROOT}/{grid_id}/n/+/{_STATE}"


@lru_cache(maxsize=_REMEMBERED)
def parse(topic: str) -> Arrival | NodeId | None:
    """What a received topic is about.

    Returns:
        An ``Arrival`` for a packet, the node for a presence, None for a topic that is none of ours.
    """
    parts = topic.split("/")
    if parts[:2] != ["tahoe", "1"] or parts[3:4] != ["n"]:
        return None
    if len(parts) == 7 and parts[5] in CHANNELS and parts[6]:
        return Arrival(parts[5], NodeId(parts[6]))
    if len(parts) == 6 and parts[5] == _STATE and parts[4]:
        return NodeId(parts[4])
    return None
