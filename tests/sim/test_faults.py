"""Schedules of faults: data that can be saved and read back."""

from __future__ import annotations

import msgspec
import pytest

from tahoe.sim.faults import (
    BrokerRestart,
    ClockFault,
    Crash,
    DiskFault,
    Heal,
    Partition,
    Pause,
    Restart,
    Scheduled,
    Weather,
    decode_schedule,
    encode_schedule,
    load_schedule,
    save_schedule,
)
from tahoe.storage.faulty import Rots, Slows

SCHEDULE = (
    Scheduled(1.0, Crash("server-1", power=True)),
    Scheduled(2.0, Restart("server-1", empty_disk=True)),
    Scheduled(3.0, Pause("client-0", 2.5)),
    Scheduled(4.0, Partition("split", ("server-1",), ("client-0", "server-2"), one_way=True)),
    Scheduled(5.0, Heal("split")),
    Scheduled(6.0, Weather(("server-1",), loss=0.1, delay=0.2)),
    Scheduled(7.0, ClockFault("server-1", offset=-3600.0, rate=0.01)),
    Scheduled(8.0, DiskFault("server-1", (Rots(number=3, bit=17), Slows(seconds=1.0, verbs=("read",))), 10.0)),
    Scheduled(9.0, BrokerRestart(3.0)),
)


def test_a_schedule_survives_being_written_and_read(tmp_path):
    save_schedule(SCHEDULE, tmp_path / "faults.json")
    assert load_schedule(tmp_path / "faults.json") == SCHEDULE
    assert decode_schedule(encode_schedule(SCHEDULE)) == SCHEDULE


def test_a_schedule_with_an_unknown_fault_is_refused_with_the_place():
    with pytest.raises(msgspec.ValidationError, match="earthquake"):
        decode_schedule(b'[{"at": 1, "fault": {"kind": "earthquake"}}]')
