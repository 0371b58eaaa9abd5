"""Placement rules for comparison do what their names say, and real actors can be given them."""

import pytest

from tahoe.protocol import Encoding
from tahoe.sim import GridOptions, SimGrid
from tahoe.sim.montecarlo import Code, Study, place, unplaced
from tahoe.sim.placements import Copysets, PermutedRing, RandomChoice

RULES = [PermutedRing(), RandomChoice(), Copysets(9)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_real_actors_place_and_find_files_by_any_rule(rule):
    options = GridOptions(fidelity="message", encoding=Encoding(2, 2, 4), policy=rule)
    grid = SimGrid(seed=1, servers=12, options=options)
    assert grid.download(grid.upload(b"placed by a rule" * 50)) == b"placed by a rule" * 50


def test_copysets_are_few_and_every_server_is_in_as_many_as_its_width_needs():
    homes = place(Study(unplaced(30), 2000, (), 1.0, Code(1, 3)), Copysets(6), 1, reach=30).homes
    sets = {tuple(sorted(row)) for row in homes.tolist()}
    assert len(sets) == 3 * 30 / 3
    neighbours = [{other for one in sets if server in one for other in one} - {server} for server in range(30)]
    assert max(map(len, neighbours)) == 6
    assert sum(map(len, neighbours)) > 5 * 30


def test_where_servers_do_not_divide_evenly_the_last_set_is_full_all_the_same():
    homes = place(Study(unplaced(10), 300, (), 1.0, Code(2, 4)), Copysets(3), 1, reach=10).homes
    assert all(len(set(row)) == 4 for row in homes.tolist())
    assert set(homes.ravel().tolist()) == set(range(10))


def test_random_choice_doubles_shares_up_and_the_ring_does_not():
    study = Study(unplaced(12), 300, (), 1.0)
    doubled = place(study, RandomChoice(), 1, reach=12).homes
    single = place(study, PermutedRing(), 1, reach=12).homes
    assert any(len(set(row)) < 10 for row in doubled.tolist())
    assert all(len(set(row)) == 10 for row in single.tolist())
