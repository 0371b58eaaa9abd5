"""The bytes of every message, held to what nodes out there speak."""

from __future__ import annotations

import json

import msgspec
import pytest

from tahoe.protocol import HaveShares, Request, SharesHeld, message_types
from tahoe.session.asking import answer_type
from tests.session.make_golden import GOLDEN, encode, plain_fields, structs

golden = json.loads(GOLDEN.read_text())
kinds = structs()


def decode(name, data):
    return msgspec.msgpack.decode(data, type=kind_of(name))


def kind_of(name):
    return kinds[name.partition("/")[0]]


def test_every_field_that_travels_has_golden_bytes():
    known = {name.partition("/")[0]: len(entry["fields"]) for name, entry in sorted(golden.items())}
    today = {name: len(kind.__struct_fields__) for name, kind in kinds.items()}
    assert known == today, "run python -m tests.session.make_golden for new ones; never remove old ones"


@pytest.mark.parametrize("name", golden)
def test_bytes_of_today_are_read_field_by_field(name):
    thing = decode(name, bytes.fromhex(golden[name]["bytes"]))
    fields = plain_fields(thing)
    assert {field: fields[field] for field in golden[name]["fields"]} == golden[name]["fields"]


@pytest.mark.parametrize("name", golden)
def test_what_is_written_begins_with_the_bytes_of_today(name):
    old = msgspec.msgpack.decode(bytes.fromhex(golden[name]["bytes"]))
    new = msgspec.msgpack.decode(encode(decode(name, bytes.fromhex(golden[name]["bytes"]))))
    assert new[: len(old)] == old


@pytest.mark.parametrize("name", golden)
def test_an_old_reader_ignores_fields_that_were_appended(name):
    data = bytes.fromhex(golden[name]["bytes"])
    today = encode(decode(name, data))
    grown = encode([*msgspec.msgpack.decode(today), "a new field", {"of": "any kind"}])
    assert decode(name, grown) == decode(name, data)


@pytest.mark.parametrize("name", [name for name in golden if kind_of(name).__struct_defaults__])
def test_a_new_reader_fills_in_fields_that_an_old_writer_did_not_know(name):
    kind = kind_of(name)
    old = msgspec.msgpack.decode(bytes.fromhex(golden[name]["bytes"]))
    today = len(kind.__struct_fields__)
    tags = len(old) - len(golden[name]["fields"])
    for known in range(today - len(kind.__struct_defaults__), len(golden[name]["fields"])):
        thing = decode(name, encode(old[: tags + known]))
        missing = today - known
        for field, default in zip(kind.__struct_fields__[-missing:], kind.__struct_defaults__[-missing:], strict=True):
            assert getattr(thing, field) == default


def test_a_message_cut_short_is_refused():
    data = bytes.fromhex(golden["Write"]["bytes"])
    with pytest.raises(msgspec.DecodeError):
        decode("Write", data[:-3])


def test_every_request_names_its_answer():
    for kind in message_types():
        if issubclass(kind, Request):
            assert answer_type(kind).__struct_config__.tag is not None, kind
    assert answer_type(HaveShares) is SharesHeld
