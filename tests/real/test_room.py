"""Servers without room: read-only ones, small ones, and a disk that is full."""

from __future__ import annotations

import os
import subprocess

import pytest

from tahoe.net.quantities import ByteSize
from tests.real.grid import RealGrid, StorageSection, until

READ_ONLY = StorageSection(reserved_space=ByteSize(0), readonly=True)
SMALL = StorageSection(reserved_space=ByteSize(0), sizelimit=ByteSize(20_000))


@pytest.mark.parametrize("options", [READ_ONLY, SMALL], ids=["read-only", "small"])
def test_servers_without_room_are_passed_over_and_too_few_others_are_an_error_that_says_so(options, tmp_path):
    with RealGrid(tmp_path / "grid") as grid:
        grid.make()
        for name in grid.server_names[:3]:
            grid.configure(name, options)
        grid.start_nodes()
        data = os.urandom(300_000)
        cap = grid.gateway.put(data)
        assert grid.holders() == list(grid.server_names[3:])
        assert grid.gateway.get(cap) == data
        grid.kill([grid.server_names[3]])
        until(lambda: grid.servers_seen() == 9, "the client knows that a server is gone")
        refused = grid.gateway.ask("PUT", "/uri", os.urandom(300_000))
        assert refused.status == 503, refused.text
        assert "7" in refused.text


def test_a_full_disk_is_passed_over_and_what_it_holds_stays_readable(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with RealGrid(tmp_path / "grid") as grid:
        grid.make()
        storage = grid.plan.root / "server-0" / "storage"
        storage.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(storage)], check=True)
        else:
            grid.configure("server-0", StorageSection(reserved_space=ByteSize(0), sizelimit=ByteSize(400_000)))
        try:
            grid.start_nodes()
            small = [os.urandom(30_000) for _ in range(40)]
            caps = [grid.gateway.put(data) for data in small]
            assert len(grid.shares("server-9")) >= 40
            assert 0 < len(grid.shares("server-0")) < 40
            assert [grid.gateway.get(cap) for cap in caps] == small
            large = os.urandom(3_000_000)
            assert grid.gateway.get(grid.gateway.put(large)) == large
            assert grid.uploads("server-0") == []
        finally:
            grid.stop()
            if os.geteuid() == 0:
                subprocess.run(["umount", str(storage)], check=True)
