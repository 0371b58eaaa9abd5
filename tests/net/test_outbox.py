"""What waits for a broker: little, and only while it is fresh."""

from tahoe.net.outbox import FRESH_SECONDS, MOST_BYTES, Letter, Outbox


def letter(at, size=10):
    return Letter(at, "v0-bob", bytes(size))


def test_what_is_fresh_comes_out_once_and_in_order():
    box = Outbox()
    letters = [letter(at) for at in (0.0, 1.0, 2.0)]
    assert [box.put(each) for each in letters] == [0, 0, 0]
    assert box.take(2.0) == letters
    assert box.take(2.0) == []


def test_what_is_stale_is_left_behind():
    box = Outbox()
    box.put(letter(0.0))
    box.put(letter(FRESH_SECONDS))
    assert box.take(FRESH_SECONDS + 1) == [letter(FRESH_SECONDS)]
    box.put(letter(0.0))
    assert box.put(letter(FRESH_SECONDS + 1)) == 1


def test_the_oldest_go_when_there_is_too_much():
    box = Outbox()
    half = MOST_BYTES // 2
    assert [box.put(letter(at, half)) for at in (0.0, 1.0, 2.0)] == [0, 0, 1]
    assert [each.at for each in box.take(2.0)] == [1.0, 2.0]
    assert box.put(letter(3.0, MOST_BYTES)) == 0
