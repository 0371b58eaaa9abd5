"""The swarm: that its oracles can bark, and that a few seeds give them no reason to."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tahoe.errors import NoSpace
from tahoe.sim import swarm
from tahoe.sim.__main__ import main
from tahoe.sim.grid import SimGrid
from tahoe.sim.plan import CALM_AT, draw
from tahoe.sim.swarm import Trial, attempt


def test_the_first_seeds_pass():
    total = swarm.Verdict(0)
    for seed in range(15):
        verdict = attempt(seed)
        assert not verdict.failure, f"python -m tahoe.sim swarm --seeds {seed}: {verdict.failure}"
        total = total + verdict
    assert total.stored > 30
    assert total.fetched > 60
    assert total.faults > 50


def test_a_seed_is_one_plan_and_one_run():
    assert draw(3) == draw(3) != draw(4)
    assert attempt(3) == attempt(3)


def test_all_faults_are_over_when_the_calm_begins():
    for seed in range(50):
        assert all(entry.at < CALM_AT for entry in draw(seed).faults)


def test_wrong_bytes_are_a_violation(monkeypatch):
    async def liar(self, capability, client=0, offset=0, length=None):
        return b"something else"

    monkeypatch.setattr(SimGrid, "fetch", liar)
    assert "wrong bytes" in attempt(3).failure


def test_a_file_that_does_not_come_back_is_a_violation(monkeypatch):
    calm_fetch = SimGrid.fetch

    async def forgetful(self, capability, client=0, offset=0, length=None):
        found = await calm_fetch(self, capability, client, offset, length)
        if self.world.now() > CALM_AT:
            raise NoSpace("not today")
        return found

    monkeypatch.setattr(SimGrid, "fetch", forgetful)
    assert "can't be read" in attempt(3).failure


def test_a_lost_acknowledged_share_is_a_violation():
    trial = Trial(draw(3), schedule=())
    calm = trial._calm

    def lose_everything():
        calm()
        for name in trial.grid.fleet.disks:
            trial.grid.restart(name, empty_disk=True)

    trial._calm = lose_everything
    with pytest.raises(swarm.Violation, match="is gone from"):
        trial.run()


def test_a_story_that_never_ends_is_a_violation():
    trial = Trial(draw(3), schedule=())
    calm = trial._calm

    async def endless(ctx):
        while True:
            await ctx.sleep(1.0)

    def leak():
        calm()
        node = trial.grid.clients[0]
        for _ in range(swarm.MOST_STORIES):
            trial.grid.world.spawn(endless(node.running.context("client")), node.running.life)

    trial._calm = leak
    with pytest.raises(swarm.Violation, match="stories under way"):
        trial.run()


def test_an_endpoint_that_keeps_what_nobody_needs_is_a_violation():
    trial = Trial(draw(3), schedule=())
    calm = trial._calm

    def leak():
        calm()
        trial.grid.clients[0].running.endpoint.counters["leak"] = [bytes(10) for _ in range(5000)]

    trial._calm = leak
    with pytest.raises(swarm.Violation, match="still holds"):
        trial.run()


def test_a_failing_seed_prints_the_command_that_replays_it(monkeypatch):
    monkeypatch.setattr(
        swarm, "attempt", lambda seed, _: swarm.Verdict(seed, failure="it broke" if seed == 8 else "", seeds=1)
    )
    result = CliRunner().invoke(main, ["swarm", "--seeds", "7-9"])
    assert result.exit_code == 1
    assert "seed 8 FAILED: it broke" in result.output
    assert "python -m tahoe.sim swarm --seeds 8" in result.output
    assert "3 seeds" in result.output


def test_faults_can_be_saved_changed_and_replayed(tmp_path):
    path = tmp_path / "faults.json"
    runner = CliRunner()
    assert runner.invoke(main, ["swarm", "--seeds", "3", "--save-faults", str(path)]).exit_code == 0
    path.write_text("[]")
    result = runner.invoke(main, ["swarm", "--seeds", "3", "--faults", str(path)])
    assert result.exit_code == 0
    assert " 0 faults" in result.output
