"""What does an operation cost as a grid grows from ten servers to ten thousand?

Clients of a grid of friends know every server and rank them for each file. Whether that scales is a question of counts:
messages and bytes for an upload and for a download, first contacts between nodes included, and events that the simulator
has to handle; and processor time of the simulator, nearly all of which is the actors' own. Contents are phantoms here (sizes
with an identity), everything else is the real actors.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from experiments.framework.plotting import LOOKS, panels, plain_ticks
from tahoe.protocol import Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid
from tahoe.sim.phantom import Phantom

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        servers: sizes of the grid.
        files: uploaded and downloaded by each client.
        clients: how many.
        size: bytes of a file.
    """

    servers: tuple[int, ...] = (10, 30, 100, 300, 1000, 3000, 10_000)
    files: int = 20
    clients: int = 3
    size: int = 100_000


QUICK = {"servers": (10, 30, 100, 300), "files": 8, "clients": 2}


@dataclass(frozen=True, slots=True)
class Row:
    """What one kind of operation costs on a grid of so many servers, on average.

    Args:
        servers: in the grid.
        operation: upload or download.
        runs: how many there were.
        messages: packets delivered for each.
        bytes_sent: by all nodes for each.
        events: of the simulator for each.
        milliseconds: of processor time for each.
    """

    servers: int
    operation: str
    runs: int
    messages: float
    bytes_sent: float
    events: float
    milliseconds: float


MEASURED = ("milliseconds",)


def points(configuration: Configuration) -> Iterator[tuple[int, Configuration]]:
    """Every size."""
    for servers in configuration.servers:
        yield servers, configuration


class _Meter(NamedTuple):
    """What a grid has counted by now."""

    messages: int
    bytes_sent: int
    events: int
    milliseconds: float

    @staticmethod
    def read(grid: SimGrid) -> _Meter:
        trace = grid.world.trace
        assert trace is not None, "the grid is traced"
        return _Meter(grid.network.delivered, grid.network.bytes_sent, trace.count, 1000 * time.process_time())


def run(point: tuple[int, Configuration], seed: int) -> list[Row]:
    """Upload and download."""
    servers, asked = point
    options = GridOptions(fidelity="phantom", encoding=Encoding(3, 7, 10), introducers=0, acquainted=True, traced=True)
    grid = SimGrid(seed, servers, asked.clients, options)
    files: list[str] = []

    def upload(client: int, number: int) -> None:
        content = Phantom(asked.size, f"{client}/{number}".encode())
        files.append(grid.upload(content, client))

    def download(client: int, number: int) -> None:
        grid.download(files[client * asked.files + number], (client + 1) % asked.clients)

    rows = []
    for operation in (upload, download):
        before = _Meter.read(grid)
        for client in range(asked.clients):
            for number in range(asked.files):
                operation(client, number)
        rows.append(_row(servers, operation.__name__, asked.clients * asked.files, before, _Meter.read(grid)))
    return rows


def _row(servers: int, operation: str, runs: int, before: _Meter, after: _Meter) -> Row:
    spent = [(now - then) / runs for then, now in zip(before, after, strict=True)]
    return Row(servers, operation, runs, *spent)


# --- the figure --------------------------------------------------------------------------------------------------

NAMES = {"upload": "an upload", "download": "a download"}


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """Messages and bytes against the size of the grid."""
    figure, (messages, sent, spent) = panels(columns=3, height=3.2)
    for (operation, name), look in zip(NAMES.items(), LOOKS, strict=False):
        mine = [row for row in rows if row.operation == operation]
        sizes = [row.servers for row in mine]
        for axes, values in (
            (messages, [row.messages for row in mine]),
            (sent, [row.bytes_sent / 1000 for row in mine]),
            (spent, [row.milliseconds for row in mine]),
        ):
            axes.plot(sizes, values, color=look.color, linestyle=look.dash, marker=look.marker, label=name)
    sent.axhline(configuration.size * 10 / 3 / 1000, color="#888888", linewidth=0.8)
    sent.annotate("N/k times the file", (configuration.servers[0], configuration.size * 10 / 3 / 1000), (2, -10),
                  textcoords="offset points", fontsize=7, color="#666666")  # fmt: skip
    _dress(messages, "messages")
    _dress(sent, "kB sent by all nodes")
    _dress(spent, "ms of the simulator's processor")
    figure.legend(*messages.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle(
        f"files of {configuration.size // 1000} kB, 3-of-10; {configuration.clients * configuration.files} operations a "
        "point; every client knows every server",
        fontsize=8.5,
    )
    return figure


def _dress(axes: Axes, label: str) -> None:
    axes.set(xscale="log", yscale="log", xlabel="servers in the grid", ylabel=label)
    axes.margins(y=0.12)
    plain_ticks(axes.yaxis)
