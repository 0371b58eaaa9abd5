"""The work that is measured, the same for every grid: requests to a gateway, timed from outside."""

from __future__ import annotations

import http.client
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

MEGABYTE = 1_000_000
SMALL = 10_000
PIECE = 1 << 20


Ask: TypeAlias = Callable[[str, str], bytes]
"""Makes a request (method, path) to the gateway with the node's authority."""


class Grid(Protocol):
    """A running grid of either kind."""

    name: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the gateway."""

    @property
    def headers(self) -> dict[str, str]:
        """What a request to store needs."""

    def processes(self) -> dict[str, list[int]]:
        """Process ids: of the client, of the servers, and of a broker if there is one."""

    def stored_bytes(self) -> int:
        """Bytes of share files on all servers' disks."""

    def command(self) -> tuple[str, ...]:
        """A command that does nothing much."""

    mutable: str
    """What ``format=`` calls a mutable file that can be changed in the middle."""

    def tool(self, *arguments: str) -> tuple[str, ...]:
        """The command line's ``tahoe ARGUMENTS`` on the client's node."""

    def keep(self, ask: Ask, action: str, cap: str) -> dict[str, Any]:
        """Check, verify or repair (``action``) a file, and wait for what was found, in the words that both grids have."""

    def check_tree(self, ask: Ask, cap: str) -> int:
        """Check everything below a directory, and wait; how many objects were checked."""

    def share_files(self, index: str) -> list[Path]:
        """Files of one object's shares on all servers' disks, by number."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much to do.

    Args:
        megabytes: of the large file.
        repeats: of large transfers, of which the median counts.
        small_files: how many small ones.
        entries: of a large directory.
        mutable_megabytes: of a large mutable file.
        tree_files: in a tree that is copied and backed up.
        kept_megabytes: of a file that is verified and repaired.
        tree_objects: in a tree that is checked; 7 times some, and 1.
    """

    megabytes: int = 300
    repeats: int = 3
    small_files: int = 40
    entries: int = 1000
    mutable_megabytes: int = 100
    tree_files: int = 100
    kept_megabytes: int = 100
    tree_objects: int = 127


class Account(NamedTuple):
    """What was measured of one grid.

    Args:
        figures: by name, which tells the unit.
        processor: milliseconds of processor time, by kind of work and by process, servers together.
    """

    figures: dict[str, float]
    processor: dict[str, dict[str, float]]


NOTHING: Final = Account({}, {})
"""Of a grid that was not measured."""


class Work:
    """Takes figures of one grid. A row of the table is a figure that a step notes; for a new one, add a step.

    Args:
        grid: that is measured.
        size: how much to do.
        before_each: called before every large upload.
    """

    def __init__(self, grid: Grid, size: Size, before_each: Callable[[], None]) -> None:
        self.figures: dict[str, float] = {}
        self.processor: dict[str, dict[str, float]] = {}
        self._grid = grid
        self._size = size
        self._before_each = before_each

    def take(self, report: Callable[[str], None]) -> Account:
        """Take all figures, telling what is being done."""
        for step in self._steps():
            report(f"{self._grid.name}: {step.__name__.strip('_').replace('_', ' ')}")
            step()
        return Account(self.figures, self.processor)

    def _steps(self) -> tuple[Callable[[], None], ...]:
        """What is done, in order."""
        raise NotImplementedError

    @contextmanager
    def _processor_time(self, work: str, count: int) -> Iterator[None]:
        """Note what each kind of process spends on one of ``count``; of several rounds the last one stays."""
        processes = self._grid.processes()
        before = {what: sum(map(processor_seconds, ids)) for what, ids in processes.items()}
        yield
        self.processor[work] = {
            what: 1000 * (sum(map(processor_seconds, ids)) - before[what]) / count for what, ids in processes.items()
        }

    # --- requests ---------------------------------------------------------------------------------------------

    def _store(self, data: bytes, query: str = "") -> str:
        return self._call("PUT", f"/uri{query}", data).decode().strip()

    def _fetch(self, cap: str, part: str | None = None) -> int:
        """Bytes received."""
        with self._connection() as connection:
            connection.request("GET", f"/uri/{cap}", headers={} if part is None else {"Range": part})
            answer = connection.getresponse()
            received = 0
            while piece := answer.read(PIECE):
                received += len(piece)
            return received

    def _first_byte(self, cap: str) -> float:
        with self._connection() as connection:
            began = time.perf_counter()
            connection.request("GET", f"/uri/{cap}")
            connection.getresponse().read(1)
            return time.perf_counter() - began

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(*self._grid.address, timeout=600)
        try:
            yield connection
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """One request with the node's authority; its answer."""
        with self._connection() as connection:
            connection.request(method, path, body, self._grid.headers)
            answer = connection.getresponse()
            found = answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{self._grid.name} answered {answer.status} to {method}: {found[:500].decode()}")
            return found


class FileWork(Work):
    """Files by capability: large, small, and in part."""

    def _steps(self) -> tuple[Callable[[], None], ...]:
        return (self._memory_of_little, self._large, self._small, self._command, self._memory_in_the_end)

    # --- steps ------------------------------------------------------------------------------------------------

    def _memory_of_little(self) -> None:
        self._fetch(self._store(os.urandom(self._size.megabytes * MEGABYTE // 10)))
        self._memory(", a tenth of the size")

    def _large(self) -> None:
        """Large files: up, down, first byte, a range from the middle, and up again."""
        megabytes = self._size.megabytes
        ups, downs, firsts, ranges, again = times(), times(), times(), times(), times()
        for _ in range(self._size.repeats):
            data = os.urandom(megabytes * MEGABYTE)
            before = self._grid.stored_bytes()
            self._before_each()
            with timed(ups), self._processor_time("upload, a MB", megabytes):
                cap = self._store(data)
            self.figures["bytes stored per byte"] = (self._grid.stored_bytes() - before) / len(data)
            with timed(downs), self._processor_time("download, a MB", megabytes):
                self._fetch(cap)
            for attempt in range(5):
                firsts.append(self._first_byte(cap))
                middle = len(data) // 2 + attempt * (len(data) // 12)
                with timed(ranges):
                    assert self._fetch(cap, f"bytes={middle}-{middle + 99}") == 100
            with timed(again):
                self._store(data)
        self.figures["upload, MB/s"] = megabytes / statistics.median(ups)
        self.figures["download, MB/s"] = megabytes / statistics.median(downs)
        self.figures["first byte, ms"] = 1000 * statistics.median(firsts)
        self.figures["100-byte range, ms"] = 1000 * statistics.median(ranges)
        self.figures["re-upload, MB/s"] = megabytes / statistics.median(again)

    def _small(self) -> None:
        """Small files, one at a time and eight at once."""
        puts: list[float] = []
        gets: list[float] = []
        caps = []
        with self._processor_time("10 kB put", self._size.small_files):
            for _ in range(self._size.small_files):
                data = os.urandom(SMALL)
                with timed(puts):
                    caps.append(self._store(data))
        with self._processor_time("10 kB get", self._size.small_files):
            for cap in caps:
                with timed(gets):
                    self._fetch(cap)
        self.figures["10 kB put, ms"] = 1000 * statistics.median(puts)
        self.figures["10 kB get, ms"] = 1000 * statistics.median(gets)
        with ThreadPoolExecutor(8) as pool:
            began = time.perf_counter()
            caps = list(pool.map(lambda _: self._store(os.urandom(SMALL)), range(2 * self._size.small_files)))
            self.figures["10 kB put, 8 at once, files/s"] = len(caps) / (time.perf_counter() - began)
            began = time.perf_counter()
            list(pool.map(self._fetch, caps))
            self.figures["10 kB get, 8 at once, files/s"] = len(caps) / (time.perf_counter() - began)

    def _command(self) -> None:
        """A command that does nothing much."""
        seconds: list[float] = []
        for _ in range(7):
            with timed(seconds):
                os.waitpid(
                    os.posix_spawn(self._grid.command()[0], self._grid.command(), os.environ, file_actions=_QUIET), 0
                )
        self.figures["a command, ms"] = 1000 * statistics.median(seconds)

    def _memory_in_the_end(self) -> None:
        self._memory("")

    def _memory(self, when: str) -> None:
        for what, processes in self._grid.processes().items():
            most = max(map(peak_memory, processes)) / MEGABYTE
            self.figures[f"peak memory of {'a server' if what == 'servers' else what}{when}, MB"] = most


_QUIET = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]


def share_files(roots: Iterable[Path], index: str) -> list[Path]:
    """Files of one object's shares below some servers' share directories, by number."""
    folders = [root / index[:2] / index for root in roots]
    found = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    return sorted(found, key=lambda path: int(path.name))


def times() -> list[float]:
    """An empty list of seconds."""
    return []


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    """Append how many seconds something takes."""
    began = time.perf_counter()
    yield
    into.append(time.perf_counter() - began)


def peak_memory(process_id: int) -> int:
    """Most bytes of memory that a process has had so far."""
    with Path(f"/proc/{process_id}/status").open(encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def forget_peak_memory(process_id: int) -> None:
    """Let ``peak_memory`` begin anew, with what the process has now."""
    Path(f"/proc/{process_id}/clear_refs").write_text("5")


def processor_seconds(process_id: int) -> float:
    """Processor time that a process has used so far, in its own code and in the system's."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
