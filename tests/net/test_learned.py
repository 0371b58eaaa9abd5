"""What a node remembers of its brokers' packet limit."""

import pytest

from tahoe.net.learned import FRESH_SECONDS, LearnedLimit

BROKERS = ("mqtt://one", "mqtt://two")
NOW = 1.8e9


def learned(tmp_path, configured=500_000, brokers=BROKERS):
    return LearnedLimit(tmp_path / "state" / "packet-limit", configured, brokers)


def test_a_limit_that_was_found_is_where_the_next_start_begins(tmp_path):
    assert learned(tmp_path).recall(NOW) == 500_000
    learned(tmp_path).keep(32_000, NOW)
    assert learned(tmp_path).recall(NOW + 1) == 32_000


def test_a_limit_is_forgotten_when_it_is_old_or_the_clock_was_wrong(tmp_path):
    learned(tmp_path).keep(32_000, NOW)
    assert learned(tmp_path).recall(NOW + FRESH_SECONDS) == 500_000
    assert learned(tmp_path).recall(NOW - 1) == 500_000


def test_a_limit_found_of_other_brokers_or_for_another_size_means_nothing(tmp_path):
    learned(tmp_path).keep(32_000, NOW)
    assert learned(tmp_path, brokers=BROKERS[:1]).recall(NOW) == 500_000
    assert learned(tmp_path, configured=100_000).recall(NOW) == 100_000


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"packet_bytes": "many"}'])
def test_a_file_that_cannot_be_read_tells_nothing(tmp_path, content):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "packet-limit").write_bytes(content)
    assert learned(tmp_path).recall(NOW) == 500_000
