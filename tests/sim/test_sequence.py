"""A run can be looked at: as lines, as a table, as a picture."""

import csv
import io
from xml.etree import ElementTree as ET

from click.testing import CliRunner

from tahoe.sim import sequence, showcase
from tahoe.sim.__main__ import main


def show(*arguments):
    return CliRunner().invoke(main, ["trace", "1", *arguments], catch_exceptions=False).output


def test_the_table_has_every_line_of_the_run_and_the_size_of_every_packet():
    lines = []
    showcase.run(1, lines.append)
    rows = list(csv.DictReader(io.StringIO(show("--as", "csv"))))
    assert len(rows) == len(lines)
    packets = [row for row in rows if row["kind"] == "packet"]
    assert all(row["sender"] and row["receiver"] and int(row["size"]) > 0 for row in packets)
    assert {"crash", "restart", "weather", "stored"} <= {row["kind"] for row in rows}
    assert [float(row["at"]) for row in rows] == sorted(float(row["at"]) for row in rows)


def test_the_chart_has_an_arrow_for_every_packet_and_a_line_for_every_node_in_its_window():
    picture = show("--as", "svg", "--from", "1.4", "--until", "3.1")
    tree = ET.fromstring(picture)
    lines = []
    showcase.run(1, lines.append)
    window = [event for event in sequence.events(lines) if 1.4 <= event.at <= 3.1]
    arrows = [line for line in tree.iter("{http://www.w3.org/2000/svg}line") if line.get("marker-end")]
    assert len(arrows) == sum(event.kind == "packet" for event in window) > 5
    assert "crash" in picture
    assert "server-2</text>" in picture


def test_what_befalls_nobody_in_particular_is_a_bar_across():
    picture = sequence.drawing(
        [sequence.Event(1.0, "heal", "east & west"), sequence.Event(2.0, "packet", "", "a-1", "b-1", "in", 5)]
    )
    assert "heal east &amp; west" in picture
    assert "stroke-dasharray" in picture


def test_names_stand_clients_first_and_by_number():
    happened = [
        sequence.Event(0.0, "packet", "", "server-10", "client-0", "in", 1),
        sequence.Event(0.0, "crash", "server-2"),
    ]
    assert sequence._names(happened) == ["client-0", "server-2", "server-10"]


def test_the_text_ends_with_the_hash():
    assert show().splitlines()[-1].startswith("hash ")
