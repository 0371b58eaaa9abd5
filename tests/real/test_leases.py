"""Leases on real processes whose clocks are set a year forward and back: nothing ends early, and nothing lasts for ever."""

from __future__ import annotations

import time
from random import Random

from tahoe.net.quantities import ByteSize
from tahoe.protocol import Encoding
from tahoe.storage.filesystem import RealFileSystem
from tahoe.storage.sharefile import read_container
from tests.real.grid import CLIENT_NAME, RealGrid, StorageSection
from tests.real.test_clocks import YEAR, Clock

SIZE = 1_000_000
FULL = "server-0"
"""It has room for the first file only: whatever may be collected will be, as soon as another one comes."""

ONE_SHARE = StorageSection(reserved_space=ByteSize(0), sizelimit=ByteSize(SIZE * 3 // 4))
LONGEST = 62 * 86_400
"""Seconds that a lease can last at most, whatever clocks say."""


def _lease_ends(grid: RealGrid) -> list[int]:
    """When the leases end that the full server's shares have."""
    root = grid.plan.root / FULL / "storage" / "shares"
    filesystem, ends = RealFileSystem(root), []
    for path in grid.shares(FULL):
        file = filesystem.open(str(path.relative_to(root)))
        ends += [lease.expires for lease in read_container(file).leases]
        file.close()
    return ends


def test_a_clock_that_is_set_a_year_forward_and_back_collects_nothing_and_promises_no_year(tmp_path):
    clock, chance = Clock(tmp_path / "clock", 0), Random(1)
    with RealGrid(tmp_path / "grid", servers=4, encoding=Encoding(2, 3, 4)) as grid, clock.told():
        grid.make()
        grid.configure(FULL, ONE_SHARE)
        grid.start_nodes()
        data = chance.randbytes(SIZE)
        cap, (share,), (end,) = grid.gateway.put(data), grid.shares(FULL), _lease_ends(grid)
        assert abs(end - time.time()) < LONGEST
        for error in (YEAR, -YEAR):
            clock.set(error)
            assert abs(grid.report()["now"] - time.time() - error) < YEAR / 2, "the clock is set"
            for _ in range(2):
                other = chance.randbytes(SIZE)
                assert grid.gateway.get(grid.gateway.put(other)) == other
                assert grid.shares(FULL) == [share], "nothing was collected to make room"
                grid.kill([FULL, CLIENT_NAME])
                grid.restart(CLIENT_NAME, FULL)
            reply = grid.gateway.ask("POST", f"/uri/{cap}?t=start-check&add-lease=true")
            assert reply.status == 202, reply.text
            assert grid.gateway.get(cap) == data
        assert all(end <= each < time.time() + LONGEST for each in _lease_ends(grid))
        grid.check_logs()
