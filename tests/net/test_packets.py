"""Learning the broker's packet limit: what convicts a size, and what does not."""

from tahoe.net.packets import PACKET_OVERHEAD, PROOF_SECONDS, SMALLEST_LIMIT, PacketLimit

LARGE = 512 * 1024


def lose(limit, *, too_large=False):
    return limit.lost(too_large=too_large)


def test_two_losses_in_a_row_after_large_packets_quarter_the_limit():
    limit = PacketLimit(LARGE)
    limit.sent(0.0, LARGE)
    assert not lose(limit)
    limit.sent(1.0, LARGE)
    assert lose(limit)
    assert limit.bytes == LARGE // 4


def test_a_loss_without_large_packets_convicts_nobody():
    limit = PacketLimit(LARGE)
    for now in range(10):
        limit.sent(now, 1000)
        assert not lose(limit)
    assert limit.bytes == LARGE


def test_a_size_that_was_carried_is_not_suspected_when_the_broker_is_killed():
    limit = PacketLimit(LARGE)
    limit.sent(0.0, LARGE)
    limit.prove(PROOF_SECONDS)
    for now in (10.0, 11.0, 12.0):
        limit.sent(now, LARGE)
        assert not lose(limit)
    assert limit.bytes == LARGE


def test_what_went_out_just_now_is_not_proven():
    limit = PacketLimit(LARGE)
    for _ in range(2):
        limit.sent(0.0, LARGE)
        limit.prove(PROOF_SECONDS / 2)
        lowered = lose(limit)
    assert lowered


def test_losses_that_are_not_in_a_row_do_not_add_up():
    limit = PacketLimit(LARGE)
    limit.sent(0.0, LARGE)
    assert not lose(limit)
    limit.sent(1.0, LARGE)
    limit.prove(1.0 + PROOF_SECONDS)
    limit.sent(10.0, LARGE)
    assert not lose(limit)


def test_a_broker_that_says_why_is_believed_at_once():
    limit = PacketLimit(LARGE)
    limit.sent(0.0, LARGE)
    assert lose(limit, too_large=True)


def test_the_limit_ends_falling_at_what_every_broker_carries():
    limit = PacketLimit(LARGE)
    losses = 0
    while limit.bytes > SMALLEST_LIMIT:
        limit.sent(losses, limit.bytes)
        lose(limit)
        losses += 1
    assert limit.bytes == SMALLEST_LIMIT
    assert losses == 6
    limit.sent(100.0, SMALLEST_LIMIT)
    assert not lose(limit)


def test_a_told_limit_only_ever_lowers_ours():
    limit = PacketLimit(LARGE)
    assert not limit.told(10 * LARGE)
    assert limit.told(100_000)
    assert limit.bytes == 100_000 - PACKET_OVERHEAD
    assert not limit.told(200_000)


def test_a_packet_that_came_back_has_proven_its_size_until_the_next_connection():
    limit = PacketLimit(LARGE)
    limit.doubt()
    assert not limit.proven
    limit.sent(0.0, LARGE)
    limit.carried(LARGE)
    assert limit.proven
    for _ in range(3):
        assert not lose(limit)
    limit.doubt()
    assert not limit.proven


def test_packets_that_do_not_come_back_lower_the_limit_until_one_does():
    limit = PacketLimit(LARGE)
    assert [limit.vanished(LARGE), limit.vanished(LARGE)] == [False, True]
    assert not limit.vanished(limit.bytes)
    limit.carried(limit.bytes)
    assert limit.proven
    assert limit.bytes == LARGE // 4


def test_a_limit_as_small_as_every_brokers_needs_no_proof():
    limit = PacketLimit(SMALLEST_LIMIT)
    limit.doubt()
    assert limit.proven
