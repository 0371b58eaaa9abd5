"""Sequence: a trace as a table, or as a message sequence chart for people.

A chart has a line downwards for every node and an arrow for every packet, in the order in which they arrived; what
happens to a node is a mark on its line, what happens to all of them a bar across::

        client-0        server-1
           |                |
    1.203  |───── bulk ────►|        the time is written where something happens
    1.500  |                o crash

Packets that were lost are not in a trace and not in a chart: it shows what arrived.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

LINE = re.compile(r"\s*([0-9.]+)\s+(\S+)\s*(.*)")
PACKET = re.compile(r"(\S+) > (\S+) (\S+) (\d+)$")
DELIVERY = re.compile(r"(\S+) > (\S+) (.*)")


class Event(NamedTuple):
    """A line of a trace, taken apart. ``sender`` to ``size`` are a packet's; ``node`` is whom anything else befell."""

    at: float
    kind: str
    node: str = ""
    sender: str = ""
    receiver: str = ""
    channel: str = ""
    size: int = 0
    text: str = ""


def events(lines: Iterable[str]) -> list[Event]:
    """The events that the lines of a trace tell, as ``Trace.show`` is handed them."""
    found = []
    for line in lines:
        match = LINE.match(line)
        if match:
            at, kind, text = float(match[1]), match[2], match[3]
            packet = PACKET.match(text) if kind == "packet" else None
            delivery = DELIVERY.match(text) if kind == "deliver" else None
            if packet:
                found.append(Event(at, kind, "", packet[1], packet[2], packet[3], int(packet[4])))
            elif delivery:
                found.append(Event(at, kind, delivery[2], text=f"{delivery[3]} from {delivery[1]}"))
            else:
                node, _, rest = text.partition(" ")
                found.append(Event(at, kind, node, text=rest))
    return found


def table(happened: Sequence[Event]) -> str:
    """All of it as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Event._fields)
    writer.writerows(happened)
    return text.getvalue()


# --- the picture ------------------------------------------------------------------------------------------------------

COLUMN, ROW, LEFT, TOP = 130, 17, 80, 46
INK, ACCENT, PALE = "#222222", "#d55e00", "#bbbbbb"
STYLE = (
    "text{font:11px sans-serif;fill:#222222}.time{fill:#777777;text-anchor:end}.name{font-weight:bold;text-anchor:middle}"
    ".on{text-anchor:middle;font-size:9.5px;fill:#555555}.mark{fill:#d55e00}"
)


def drawing(happened: Sequence[Event], title: str = "") -> str:
    """A message sequence chart as SVG; give it a few hundred events at most."""
    names = _names(happened)
    places = {name: LEFT + COLUMN // 2 + COLUMN * number for number, name in enumerate(names)}
    width, height = LEFT + COLUMN * max(1, len(names)), TOP + ROW * (len(happened) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="8" y="16">{escape(title)}</text>',
        f'<defs><marker id="tip" markerWidth="7" markerHeight="7" refX="6" refY="3" orient="auto"><path d="M0,0L6,3L0,6z" fill="{INK}"/></marker></defs>',
    ]
    for name, x in places.items():
        parts.append(f'<text class="name" x="{x}" y="{TOP - 10}">{escape(name)}</text>')
        parts.append(f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{height - ROW}" stroke="{PALE}"/>')
    for row, event in enumerate(happened):
        y = TOP + ROW * (row + 1)
        parts.append(f'<text class="time" x="{LEFT - 12}" y="{y + 4}">{event.at:.3f}</text>')
        parts += _arrow(event, places, y) if event.sender else _mark(event, places, y, width)
    return "\n".join([*parts, "</svg>\n"])


def _names(happened: Sequence[Event]) -> list[str]:
    """Everybody in the chart: clients first, then the others, each kind by number."""
    names = {name for event in happened for name in (event.sender, event.receiver) if name}
    names |= {event.node for event in happened if re.fullmatch(r"[a-z]+-\d+", event.node)}
    return sorted(names, key=lambda name: (not name.startswith("client"), name.split("-")[0], len(name), name))


def _arrow(event: Event, places: dict[str, int], y: int) -> list[str]:
    start, end = places[event.sender], places[event.receiver]
    tip = end - 3 if end > start else end + 3
    return [
        f'<line x1="{start}" y1="{y}" x2="{tip}" y2="{y}" stroke="{INK}" marker-end="url(#tip)"/>',
        f'<text class="on" x="{(start + end) // 2}" y="{y - 3}">{escape(event.channel)} {event.size}</text>',
    ]


def _mark(event: Event, places: dict[str, int], y: int, width: int) -> list[str]:
    label = escape(f"{event.kind} {event.text}".strip())
    x = places.get(event.node)
    if x is None:
        return [
            f'<line x1="{LEFT}" y1="{y}" x2="{width}" y2="{y}" stroke="{ACCENT}" stroke-dasharray="4 3"/>',
            f'<text class="mark" x="{LEFT + 4}" y="{y - 3}">{label} {escape(event.node)}</text>',
        ]
    return [
        f'<circle cx="{x}" cy="{y}" r="4" fill="{ACCENT}"/>',
        f'<text class="mark" x="{x + 8}" y="{y + 4}">{label}</text>',
    ]
