"""Theory, Monte Carlo and the real actors answer the same questions alike.

Actors and Monte Carlo are given the same servers, the same files in the same homes and the same incidents, and must lose
the same files; theory must lie in the interval of what either lost. Times are in thousands of seconds, not years: a
failure law has no scale of its own, and idle years of simulated roster keeping would prove nothing more. The repairer is
the real one, with the caretaker's rule.
"""

from math import exp

import numpy as np
import pytest

from tahoe.codec.capability import parse
from tahoe.errors import NotEnoughShares
from tahoe.policy.order import permuted
from tahoe.policy.repair import AT_ONCE, RepairRule
from tahoe.protocol import CLIENT, MEMBER, Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid
from tahoe.sim.laws import Exponential, Fixed, LogNormal
from tahoe.sim.lifetimes import Weibull, survival
from tahoe.sim.montecarlo import NEVER, Caretaker, Checks, Code, Placed, Rules, Study, replay, unplaced
from tahoe.sim.weather import Incident, Losses, faults, forecast
from tahoe.theory.availability import loss
from tahoe.theory.confidence import probability_interval
from tahoe.theory.epochs import loss_with_sweeps

SERVERS, FILES, MISSION = 25, 12, 1000.0


class Twins:
    """One grid of actors and its Monte Carlo twin."""

    def __init__(self, seed, needed, total, law):
        self.code = Code(needed, total)
        options = GridOptions(fidelity="message", encoding=Encoding(needed, total, total), acquainted=True)
        self.grid = SimGrid(seed, servers=SERVERS, options=options)
        self.numbers = {node.name: number for number, node in enumerate(self.grid.servers)}
        self.contents = [bytes([file]) * 600 for file in range(FILES)]
        results = [self.grid.run(self.grid.store(content)) for content in self.contents]
        self.capabilities = [str(result.capability) for result in results]
        self.placed = self._placed(results)
        self.study = Study(unplaced(SERVERS), FILES, (Losses(law, away=Fixed(0.01)),), MISSION, self.code)
        drawn = forecast(self.study.weathers, self.study.locations, MISSION, seed)
        self.incidents = [Incident(put_off(one.at), *list_of(one)) for one in drawn]
        self.begun = self.grid.world.now()
        self.grid.apply(faults([Incident(self.begun + one.at, *list_of(one)) for one in self.incidents]))

    def _placed(self, results):
        servers = self.grid.clients[0].actor(MEMBER).servers()
        orders, homes = [], []
        for result, capability in zip(results, self.capabilities, strict=True):
            order = permuted(servers, parse(capability).storage_index, 2 * self.code.total)
            orders.append([self.numbers[server.node] for server in order])
            homes.append([self.numbers[result.homes[number]] for number in range(self.code.total)])
        return Placed(np.array(homes, np.int32), np.array(orders, np.int32))

    def lost_by_actors(self, every=MISSION, rule=AT_ONCE):
        """Files that can't be read any more at the end; until then all are checked, and mended by a rule, now and then."""
        sweeps = round(MISSION / every)
        for sweep in range(1, sweeps + 1):
            self.grid.run(self.begun + sweep * every - self.grid.world.now())
            if sweep < sweeps:
                self.grid.run(self._mend(rule))
        return {file for file in range(FILES) if not self._is_readable(file)}

    async def _mend(self, rule):
        keeper = self.grid.clients[0].actor(CLIENT).keeper
        for examination in await keeper.check([parse(capability).verifier() for capability in self.capabilities]):
            await keeper.mend(examination, rule)

    def _is_readable(self, file):
        try:
            assert self.grid.download(self.capabilities[file]) == self.contents[file]
        except NotEnoughShares:
            return False
        return True

    def lost_by_numbers(self, rules):
        outcome = replay(self.study, rules, self.placed, self.incidents)
        return set(np.nonzero(np.isfinite(outcome.lost_at))[0].tolist())


def put_off(at):
    """Nothing happens while the actors' repairs are under way, which take a second and in Monte Carlo no time."""
    return at + 3.0 if at % 50.0 < 3.0 else at


def list_of(incident):
    return incident.server, incident.harm, incident.seconds, incident.cause


CASES = [
    (1, 3, Exponential(900.0)),
    (3, 6, Exponential(900.0)),
    (3, 10, Exponential(700.0)),
    (3, 6, Weibull(900.0, 0.7)),
    (5, 7, LogNormal(1500.0, 0.8)),
]


@pytest.mark.parametrize(("needed", "total", "law"), CASES, ids=repr)
def test_without_repair_all_three_agree(needed, total, law):
    lost = 0
    for seed in range(3):
        twins = Twins(seed, needed, total, law)
        by_actors = twins.lost_by_actors()
        assert by_actors == twins.lost_by_numbers(Rules(repair=NEVER))
        lost += len(by_actors)
    assert 0 < lost < 3 * FILES
    # servers replaced by empty ones hold nothing, so a share is there if its first server outlived the mission
    assert loss(needed, total, survival(law, MISSION)) in probability_interval(lost, 3 * FILES)


@pytest.mark.parametrize(
    ("needed", "total", "sweeps", "margin"),
    [(1, 3, 4, 1.0), (3, 6, 5, 1.0), (3, 6, 5, 0.5), (3, 10, 2, 1.0), (2, 6, 4, 0.0)],
)
def test_with_sweeps_by_the_real_repairer_all_three_agree(needed, total, sweeps, margin):
    lost, rule = 0, RepairRule(margin)
    for seed in range(3):
        twins = Twins(seed, needed, total, Exponential(450.0))
        by_actors = twins.lost_by_actors(MISSION / sweeps, rule)
        rules = Rules(repair=Caretaker(rule, needed, total), checks=Checks(MISSION / sweeps))
        assert by_actors == twins.lost_by_numbers(rules)
        lost += len(by_actors)
    assert 0 < lost < 3 * FILES
    survival_of_epochs = [exp(-MISSION / sweeps / 450.0)] * sweeps
    exact = loss_with_sweeps(needed, total, rule.threshold(needed, total), survival_of_epochs)
    assert exact in probability_interval(lost, 3 * FILES)
