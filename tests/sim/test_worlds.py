"""Worlds carry grids of real actors, feel like what they are called, survive a file, and can be drawn."""

import pytest
from matplotlib.figure import Figure

from tahoe.errors import BadConfiguration, NotEnoughShares
from tahoe.protocol import MEMBER, Encoding
from tahoe.sim import GridOptions, SimGrid, weather, worlds
from tahoe.sim.laws import Fixed, LogNormal
from tahoe.sim.topology import Topology, draw, read
from tahoe.sim.wire import Access, Link

SIZES = {"friendnet": 9, "campus": 12, "datacentre": 12, "planet": 10}
SMALL = GridOptions(fidelity="message", encoding=Encoding(2, 4, 5))


@pytest.mark.parametrize("name", worlds.ALL)
def test_a_file_comes_back_in_every_world(name):
    world = worlds.ALL[name](SIZES[name], 2)
    grid = SimGrid(seed=1, servers=SIZES[name], clients=2, options=world.options(SMALL))
    assert grid.download(grid.upload(b"round the world" * 200), client=1) == b"round the world" * 200
    assert len(world.locations()) == SIZES[name]
    known = {server.nickname: server.location for server in grid.clients[0].actor(MEMBER).servers()}
    assert tuple(known[name] for name in world.names()) == world.locations()


@pytest.mark.parametrize("name", worlds.ALL)
def test_a_world_comes_back_from_its_file_and_runs_the_same(name, tmp_path):
    world = worlds.ALL[name](6, 1)
    world.write(tmp_path / "world.graphml")
    again = read(tmp_path / "world.graphml")
    assert again.locations() == world.locations()
    assert list(again.graph.edges(data="link")) == list(world.graph.edges(data="link"))
    times = []
    for one in (world, again):
        grid = SimGrid(seed=1, servers=6, options=one.options(SMALL))
        grid.upload(b"x" * 5000)
        times.append(grid.world.now())
    assert times[0] == times[1]


@pytest.mark.parametrize("name", worlds.ALL)
def test_a_world_is_drawn_with_every_node_in_a_place_of_its_own(name):
    world = worlds.ALL[name](10, 2)
    axes = Figure().subplots()
    draw(world, axes)
    dots = [tuple(place) for marks in axes.collections for place in marks.get_offsets().tolist()]
    assert len(dots) == len(set(dots))
    labels = {text.get_text() for text in axes.get_legend().get_texts()}
    assert "node (13)" in labels


def test_two_machines_in_one_house_share_its_uplink():
    world = Topology()
    line = Access(Link(Fixed(0.01), 100_000.0), Link(Fixed(0.01), 10e6))
    quick = Access(Link(Fixed(0.0), 1e9), Link(Fixed(0.0), 1e9))
    world.add_line("house", line)
    for number in range(4):
        world.add_node(f"server-{number}", "house", quick, line="house")
    for name in ("client-0", "introducer-0"):
        world.add_node(name, "", quick)
    options = world.options(GridOptions(fidelity="message", encoding=Encoding(4, 4, 4)))
    grid = SimGrid(seed=1, servers=4, options=options)
    capability = grid.upload(bytes(400_000))
    began = grid.world.now()
    grid.download(capability)
    # four shares of 100 kB leave by one line of 100 kB/s, though each machine could send ten thousand times as much
    assert 3.9 < grid.world.now() - began < 6.0


def test_a_continent_whose_broker_is_down_is_cut_off_and_the_others_go_on():
    world = worlds.planet(servers=10, clients=1)
    grid = SimGrid(
        seed=1, servers=10, options=world.options(GridOptions(fidelity="message", encoding=Encoding(8, 10, 10)))
    )
    capability = grid.upload(b"on five continents" * 50)
    grid.network.stop_broker("broker-asia")
    assert grid.download(capability) == b"on five continents" * 50
    grid.network.stop_broker("broker-africa")
    with pytest.raises(NotEnoughShares):
        grid.download(capability)


def test_weather_by_site_strikes_the_machines_of_one_house_together():
    world = worlds.friendnet(servers=9)
    shocks = weather.forecast((weather.Shocks(Fixed(10.0), level=1),), world.locations(), 15.0, seed=1)
    houses = {}
    for incident in shocks:
        houses.setdefault(world.locations()[incident.server], []).append(incident.server)
    assert sorted(len(members) for members in houses.values()) == [1, 1, 1, 1, 1, 2, 2]


def test_a_graph_that_lacks_a_node_is_refused_by_name():
    with pytest.raises(BadConfiguration, match="the graph has no node server-3"):
        SimGrid(seed=1, servers=4, options=worlds.friendnet(servers=3).options())


GRAPHML = """<?xml version="1.0"?><graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="d" for="edge" attr.name="latency" attr.type="double"/>
<graph edgedefault="undirected">{nodes}
<edge source="broker" target="server-0">{latency}</edge>
</graph></graphml>"""
NODES = '<node id="broker"/><node id="server-0"/>'


def test_graphs_of_other_programs_are_read_with_plain_seconds(tmp_path):
    path = tmp_path / "plain.graphml"
    path.write_text(GRAPHML.format(nodes=NODES, latency='<data key="d">0.25</data>'))
    graph = read(path).graph
    assert graph.edges["server-0", "broker"]["link"] == graph.edges["broker", "server-0"]["link"] == Link(Fixed(0.25))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no graph", "syntax error|not well-formed"),
        (GRAPHML.format(nodes=NODES, latency=""), "no latency"),
        (
            GRAPHML.format(nodes=NODES, latency='<data key="d">1</data>').replace("broker", "hub"),
            "no node called broker",
        ),
    ],
)
def test_graphs_that_are_no_network_are_refused(tmp_path, text, message):
    (tmp_path / "bad.graphml").write_text(text)
    with pytest.raises(BadConfiguration, match=message):
        read(tmp_path / "bad.graphml")


@pytest.mark.parametrize("seed", [0, 3, 5, 6])
def test_a_grid_comes_together_on_lines_as_slow_and_erratic_as_satellites(seed):
    late = Link(LogNormal(0.7, 1.0))
    quick = Link(LogNormal(0.015, 0.3))
    far = {f"server-{number}" for number in range(8)}
    lines = GridOptions(
        fidelity="message", access=lambda name: Access(late, late) if name in far else Access(quick, quick)
    )
    grid = SimGrid(seed, servers=10, options=lines)
    assert grid.world.now() < 120.0
