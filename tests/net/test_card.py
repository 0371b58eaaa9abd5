"""The grid card: what it carries, and how a damaged one is refused."""

import pytest

from tahoe.errors import BadConfiguration
from tahoe.net.card import BrokerEntry, GridCard, IntroducerEntry
from tahoe.net.toml import Key32
from tahoe.session.identity import Identity

INTRODUCER = Identity.from_seed(b"i" * 32)
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def card(**changes):
    parts = {
        "public_key": Key32(b"p" * 32),
        "join_secret": Key32(b"j" * 32),
        "brokers": (
            BrokerEntry("mqtts://10.1.2.3:8883", user="grid", password='s"e\\cret', ca=PEM),
            BrokerEntry("mqtt://[::1]", mqtt="5"),
        ),
        "introducers": (IntroducerEntry(INTRODUCER.node, Key32(INTRODUCER.exchange_public), "anna's"),),
        "name": "friends",
    }
    return GridCard(**(parts | changes))


def test_a_card_comes_back_as_it_was_written(tmp_path):
    card().save_new(tmp_path / "grid.toml")
    assert GridCard.load(tmp_path / "grid.toml") == card()
    assert (tmp_path / "grid.toml").stat().st_mode & 0o777 == 0o600


def test_a_card_is_never_overwritten_by_a_new_one(tmp_path):
    card().save_new(tmp_path / "grid.toml")
    with pytest.raises(BadConfiguration, match="exists already"):
        card().save_new(tmp_path / "grid.toml")


def test_a_card_that_others_can_read_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "grid.toml"
    card().save_new(path)
    path.chmod(0o640)
    with pytest.raises(BadConfiguration, match=f"chmod 600 {path}"):
        GridCard.load(path)


def test_brokers_know_where_to_dial():
    first, second = card().brokers
    assert (first.host, first.port, first.secure) == ("10.1.2.3", 8883, True)
    assert (second.host, second.port, second.secure) == ("::1", 1883, False)


def test_user_and_password_in_a_url_get_their_own_places():
    entry = BrokerEntry.from_url("mqtts://me:p%40ss@example.net:1234")
    assert entry == BrokerEntry("mqtts://example.net:1234", user="me", password="p@ss")
    with pytest.raises(BadConfiguration, match="is no broker"):
        BrokerEntry.from_url("http://example.net")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("mqtts://10.1.2.3:8883", "https://10.1.2.3", "[brokers] #1: 'https://10.1.2.3' is no broker"),
        ("mqtts://10.1.2.3:8883", "mqtts://u:p@h", "keys of their own"),
        ('mqtt = "5"', 'mqtt = "4"', "[brokers] #2: mqtt = '4' is not spoken here"),
        ("user = ", "usr = ", "[brokers #1] usr is unknown; did you mean user?"),
        ("join_secret = ", "joined = ", "joined is unknown"),
        ("exchange_key = ", "# ", "[introducers #1] exchange_key is missing; add it"),
        ("v0-", "v1-", "is no node id"),
        ("format = 1", "format = 9", "format 9"),
        ('public_key = "', 'public_key = "aa', "public_key: "),
    ],
)
def test_a_damaged_card_is_refused_with_the_place(tmp_path, before, after, said):
    text = card().text()
    assert before in text
    path = tmp_path / "grid.toml"
    path.touch(mode=0o600)
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(BadConfiguration) as caught:
        GridCard.load(path)
    assert said in str(caught.value)


def test_a_card_without_a_broker_is_refused():
    with pytest.raises(ValueError, match="needs a broker"):
        card(brokers=())
