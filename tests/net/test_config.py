"""A node's configuration file: what it accepts, what it refuses, and how it says so."""

import re

import pytest

from tahoe.errors import BadConfiguration
from tahoe.net import toml
from tahoe.net.config import ClientSection, NodeConfig, NodeSection, StorageSection
from tahoe.net.quantities import ByteSize, Seconds
from tahoe.protocol import Encoding


def read(text):
    return toml.parse(text.encode(), NodeConfig, "tahoe.toml")


def test_an_empty_file_means_the_defaults():
    assert read("") == NodeConfig()


def test_the_generated_file_shows_every_option_commented_out_with_its_default():
    text = NodeConfig().text()
    assert read(text) == NodeConfig()
    assert not [line for line in text.splitlines() if " = " in line and not line.startswith("#")]
    uncommented = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    assert uncommented.count("\nkeepalive = ") == 1
    assert read(uncommented) == NodeConfig()


def test_the_generated_file_holds_what_differs_from_the_defaults():
    config = NodeConfig(
        node=NodeSection(roles=("storage",), nickname='say "hi" \\ \x7f π'),
        storage=StorageSection(sizelimit=ByteSize.parse("10G"), readonly=True, idle_upload=Seconds(90)),
        client=ClientSection(web_port=3456, encoding="7/8/10", most_expansion=2.5),
    )
    assert 'sizelimit = "10G"\n' in config.text()
    assert read(config.text()) == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[client]\nweb_prt = 1", "tahoe.toml: [client] web_prt is unknown; did you mean web_port?"),
        ("[client]\ncolour = 1", "[client] colour is unknown; known here: web_port, encoding,"),
        ("[clint]\n", "clint is unknown; did you mean client?"),
        ("[client]\nweb_port = '80'", "[client] web_port: expected `int`, got `str`"),
        ("[client]\nweb_port = 70000", "client: web_port must be between 0 and 65535"),
        ("[client]\nhttps_address = '3457'", "https_address is ADDRESS:PORT"),
        ("[client]\nhttps_address = '0.0.0.0:3457'", "needs https_certificate, https_key and https_names"),
        ("[client]\nencoding = '3/7'", "write needed/happy/total, for example 3/7/10"),
        ("[client]\nencoding = '9/7/3'", "1 <= needed <= total"),
        ("[client]\nslots = '3/7/10'", "write needed/total, for example 3/10"),
        ("[client]\nslots = '4/3'", "1 <= needed <= total"),
        ("[client]\ndefault_root = 'global:'", "without a colon: private, global"),
        ("[storage]\nsizelimit = 'ten'", "[storage] sizelimit: 'ten' is not a size such as 500000, 10G or 512Ki"),
        ("[storage]\nsizelimit = '10Q'", "write for example 500000, 10G or 512Ki"),
        ("[storage]\nsizelimit = true", "[storage] sizelimit: True is not a quantity"),
        ("[storage]\nscrub_every = '5 weeks'", "write for example 30s, 5min or 1d"),
        ("[network]\nkeepalive = '1s'", "keepalive must be between 5s and 1h"),
        ("[network]\nmessage_size = 100", "message_size must be 16384 or more"),
        ("[node]\nroles = ['stroage']", "'stroage' is no role; roles are introducer, storage, client"),
        ("[node]\nroles = []", "roles must name one or more roles"),
        ("[node]\nroles = 'client'", "[node] roles: expected `array`"),
        ("[log]\nlevel = 'loud'", "'loud' is no log level; write debug, info, warning, error"),
        ("what is this", "tahoe.toml: this is not TOML"),
    ],
)
def test_a_mistake_is_refused_with_its_place_and_its_remedy(text, said):
    with pytest.raises(BadConfiguration) as caught:
        read(text)
    assert said in str(caught.value)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(BadConfiguration, match=r"tahoe\.toml: can't be read"):
        NodeConfig.load(tmp_path / "tahoe.toml")


def test_an_own_encoding_becomes_a_bound():
    bounds = read("[client]\nencoding = '3/4/5'\nlowest_happy = 2").client.bounds()
    assert bounds.fixed == Encoding(3, 4, 5)
    assert bounds.lowest_happy == 2
    assert NodeConfig().client.bounds().fixed is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("500000", 500_000),
        ("10G", 10**10),
        ("10GB", 10**10),
        ("1.5k", 1500),
        ("512Ki", 512 * 1024),
        ("512KiB", 512 * 1024),
        (" 2 TiB ", 2 * 1024**4),
    ],
)
def test_sizes_are_read_as_people_write_them(text, number):
    assert ByteSize.parse(text) == number
    assert ByteSize.parse(str(ByteSize(number))) == number


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("500ms", 0.5), ("30", 30), ("30s", 30), ("5 min", 300), ("2h", 7200), ("7d", 604800)],
)
def test_durations_are_read_as_people_write_them(text, seconds):
    assert Seconds.parse(text) == seconds
    assert Seconds.parse(str(Seconds(seconds))) == seconds
