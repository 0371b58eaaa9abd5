"""Topic names and their reading."""

import pytest

from tahoe.net import topics

ALICE = "v0-" + "a" * 52
BOB = "v0-" + "b" * 52
GRID = "g" * 26


@pytest.mark.parametrize("channel", topics.CHANNELS)
def test_a_packet_topic_tells_channel_and_sender(channel):
    topic = topics.packets(GRID, BOB, channel, ALICE)
    assert topics.parse(topic) == topics.Arrival(channel, ALICE)


def test_a_node_subscribes_to_what_is_sent_to_it():
    assert topics.packets_for(GRID, BOB, "in") == topics.packets(GRID, BOB, "in", "+")


def test_presence_topics_tell_the_node():
    assert topics.parse(topics.presence(GRID, BOB)) == BOB
    assert topics.presence_of_all(GRID) == topics.presence(GRID, "+")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "a/b",
        f"tahoe/2/{GRID}/n/{BOB}/state",
        f"tahoe/1/{GRID}/n/{BOB}/out/{ALICE}",
        f"tahoe/1/{GRID}/x/{BOB}/state",
    ],
)
def test_other_topics_are_none_of_ours(topic):
    assert topics.parse(topic) is None
