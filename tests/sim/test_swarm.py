"""The swarm: that its oracles can bark, and that a few seeds give them no reason to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
from click.testing import CliRunner

from tahoe.actors.caretaker import Caretaker
from tahoe.actors.directories import Directories
from tahoe.actors.drainer import Drained, Drainer
from tahoe.actors.keeper import Keeper
from tahoe.actors.repairing import NOTHING_DONE, Mended
from tahoe.actors.slots import Slots
from tahoe.codec.slot import SlotProof, SlotWriter, VersionId
from tahoe.errors import CorruptFile, NoSpace, NotEnoughShares
from tahoe.policy.lease import Collection
from tahoe.protocol import Announcement, Encoding
from tahoe.sim import swarm
from tahoe.sim.__main__ import main
from tahoe.sim.chores import Append, Keep, Link, List, Move, Overwrite, ReadSlots, StoreFile, Unlink
from tahoe.sim.faults import Crash, Leave, Restart, Rumour, Scheduled, Weather
from tahoe.sim.grid import SimGrid
from tahoe.sim.lies import ALL_LIES
from tahoe.sim.plan import CALM_AT, Case, draw, load_case, save_case
from tahoe.sim.rumours import ALL_RUMOURS
from tahoe.sim.shrink import shrink
from tahoe.sim.sites import ALL_SITES
from tahoe.sim.storm import KINDS
from tahoe.sim.swarm import Trial, Violation, attempt
from tahoe.sim.workshop import Workshop

SEED = 3
ROOMY = replace(draw(SEED), encoding=Encoding(2, 3, 4), servers=5, is_mended=False)
STALE = Rumour("server-1", "stale", 1)
LEAVE = Scheduled(29.0, Leave("server-1", 0.0))
FILES = (StoreFile(0, 0.1, 1, 3000, 1, convergent=True),)
EDITS = (Link(0, 0.1, 1, 0, "a", only_new=True), List(0, 9.0, 2, 0))
WRITES = (Overwrite(0, 0.1, 1, 100), Append(0, 0.2, 2), ReadSlots(0, 9.0, 3))


def trial(jobs, faults=()) -> Trial:
    return Trial(replace(draw(SEED), is_sealed=True, is_mended=True), faults, jobs)


def test_the_first_seeds_pass():
    total = swarm.Verdict(0)
    for seed in range(15):
        verdict = attempt(seed)
        assert not verdict.failure, f"python -m tahoe.sim swarm --seeds {seed}: {verdict.failure}"
        total = total + verdict
    assert total.chores > 150
    assert total.faults > 80
    for state in ("NoSuchChild", "ChildExists", "blocked", "file fetched", "visited"):
        assert total.sometimes[state], f"{state} was never met"


def test_a_seed_is_one_plan_and_one_run():
    assert draw(3) == draw(3) != draw(4)
    assert attempt(3) == attempt(3)


def test_all_faults_are_over_when_the_calm_begins():
    for seed in range(50):
        assert all(entry.at < CALM_AT for entry in draw(seed).faults)


def test_every_kind_of_fault_and_of_lie_and_of_work_is_drawn_by_some_seed():
    plans = [draw(seed) for seed in range(200)]
    faults = {type(entry.fault).__name__ for plan in plans for entry in plan.faults}
    lies = {entry.fault.lie for plan in plans for entry in plan.faults if hasattr(entry.fault, "lie")}
    work = {type(job).__name__ for plan in plans for job in plan.jobs}
    rumours = {entry.fault.rumour for plan in plans for entry in plan.faults if isinstance(entry.fault, Rumour)}
    assert len(faults) == 15
    assert lies == set(ALL_LIES)
    assert rumours == set(ALL_RUMOURS)
    assert {site for plan in plans for site in plan.bent} == set(ALL_SITES)
    assert len(work) == 14
    assert len(KINDS) == 19 + len(ALL_LIES) + len(ALL_RUMOURS)


# --- the oracles can bark ---------------------------------------------------------------------------------------


def test_wrong_bytes_are_a_violation(monkeypatch):
    async def liar(self, capability, client=0, offset=0, length=None):
        return b"something else"

    monkeypatch.setattr(SimGrid, "fetch", liar)
    with pytest.raises(Violation, match="wrong bytes"):
        trial(FILES).run()


def test_a_file_that_does_not_come_back_is_a_violation(monkeypatch):
    calm_fetch = SimGrid.fetch

    async def forgetful(self, capability, client=0, offset=0, length=None):
        found = await calm_fetch(self, capability, client, offset, length)
        if self.world.now() > CALM_AT:
            raise NoSpace("not today")
        return found

    monkeypatch.setattr(SimGrid, "fetch", forgetful)
    with pytest.raises(Violation, match="can't be read"):
        trial(FILES).run()


def test_a_lost_acknowledged_share_is_a_violation():
    run = trial(FILES)
    settle = run._calm

    def lose_everything():
        settle()
        run.plan = replace(run.plan, jobs=())
        for name in run.grid.fleet.disks:
            run.grid.restart(name, empty_disk=True)
        run._work_again = lambda: None

    run._calm = lose_everything
    with pytest.raises(Violation, match="is gone from"):
        run.run()


def test_an_acknowledged_edit_that_is_not_there_is_a_violation(monkeypatch):
    async def idle(self, directory, children, replace=None):
        return

    run = trial(EDITS)
    run._work_again = lambda: None
    monkeypatch.setattr(Directories, "set_children", idle)
    with pytest.raises(Violation, match="can't be true together"):
        run.run()


def test_an_edit_that_was_refused_and_is_there_is_a_violation(monkeypatch):
    true_unlink = Directories.unlink

    async def lying(self, directory, name):
        await true_unlink(self, directory, name)
        raise NoSpace("refused, it says")

    monkeypatch.setattr(Directories, "unlink", lying)
    with pytest.raises(Violation, match="can't be true together"):
        trial((*EDITS, Unlink(0, 4.0, 3, 0, "a"), List(0, 12.0, 4, 0))).run()


def test_a_slot_that_its_owner_did_not_sign_is_a_violation(monkeypatch):
    monkeypatch.setattr("tahoe.codec.slot._verified", lambda *_: True)
    monkeypatch.setattr(SlotWriter, "sign", _signed_by_nobody)
    with pytest.raises(Violation, match="did not sign"):
        trial(WRITES).run()


def _signed_by_nobody(self, version) -> SlotProof:
    return SlotProof(version.pack(), bytes(64), self.reader.public_key, self.reader.read_key_hash)


def test_a_story_that_never_ends_is_a_violation():
    run = trial(())
    calm = run._calm

    async def endless(ctx):
        while True:
            await ctx.sleep(1.0)

    def leak():
        calm()
        node = run.grid.clients[0]
        for _ in range(5):
            run.grid.world.spawn(endless(node.running.context("client")), node.running.life)

    run._calm = leak
    with pytest.raises(Violation, match="stories under way"):
        run.run()


@pytest.mark.parametrize("where", ["client", "member", "storage", "introducer", "vdrive", "caretaker", "drainer"])
def test_an_actor_that_keeps_what_nobody_needs_is_a_violation(where):
    run = Trial(replace(ROOMY, is_cared_for=True), (LEAVE,), ())
    calm = run._calm

    def leak():
        calm()
        actors = [node.running.actors for node in run.grid.fleet.nodes.values()]
        *_, holder = (each[where] for each in actors if where in each)
        holder.leak = [bytes(10) for _ in range(100_000)]

    run._calm = leak
    with pytest.raises(Violation, match=f"the {where} of .* still holds"):
        run.run()


def test_an_endpoint_that_keeps_what_nobody_needs_is_a_violation():
    run = trial(())
    calm = run._calm

    def leak():
        calm()
        run.grid.clients[0].running.endpoint.counters["leak"] = [bytes(10) for _ in range(5000)]

    run._calm = leak
    with pytest.raises(Violation, match="still holds"):
        run.run()


def test_one_counter_for_two_texts_is_a_violation(monkeypatch):
    run = trial(EDITS)
    storm = run._storm

    def forgetful():
        monkeypatch.setattr("tahoe.session.sealing._next_counter", lambda *_: 7)
        storm()

    run._storm = forgetful
    with pytest.raises(Violation, match="one counter"):
        run.run()


# --- cases --------------------------------------------------------------------------------------------------------


def test_a_failing_seed_prints_the_command_that_replays_it(monkeypatch):
    monkeypatch.setattr(
        swarm, "attempt", lambda seed: swarm.Verdict(seed, failure="it broke" if seed == 8 else "", seeds=1)
    )
    result = CliRunner().invoke(main, ["swarm", "--seeds", "7-9"])
    assert result.exit_code == 1
    assert "seed 8 FAILED: it broke" in result.output
    assert "python -m tahoe.sim swarm --seeds 8" in result.output
    assert "3 seeds" in result.output


def test_a_case_can_be_saved_changed_and_replayed(tmp_path):
    path = tmp_path / "case.json"
    case = Case(SEED, (*EDITS, Move(0, 3.0, 5, 0, "a", 0, "b", only_new=False)), (Scheduled(1.0, Crash("server-0")),))
    save_case(case, path)
    assert load_case(path) == case
    result = CliRunner().invoke(main, ["swarm", "--case", str(path)])
    assert result.exit_code == 0, result.output
    assert "1 seeds: 3 pieces of work, 1 faults" in result.output


def test_a_failing_case_is_cut_down_to_what_makes_it_fail():
    culprit, accomplice = Scheduled(5.0, Crash("server-1")), EDITS[1]
    faults = tuple(sorted([*(Scheduled(float(at), Weather(())) for at in range(20)), culprit], key=lambda x: x.at))
    case = Case(SEED, (*EDITS, *WRITES), faults)
    tries = []

    def fails(case: Case) -> bool:
        tries.append(case)
        return culprit in case.faults and accomplice in case.jobs

    assert shrink(case, fails) == Case(SEED, (accomplice,), (culprit,))
    assert len(tries) < 80
    assert shrink(case, fails, most_tries=3).faults


def test_the_end_of_a_case_is_drawn():
    picture = swarm.charted(Case(SEED, EDITS, (Scheduled(0.2, Crash("server-0")),)))
    assert picture.startswith("<svg")
    assert "deliver ReadShares from client" in picture


# --- one seed, one run ------------------------------------------------------------------------------------------------


def hashes(hash_seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-m", "tahoe.sim", "swarm", "--hash", "--seeds", "4-11"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_seed_is_the_same_run_in_a_fresh_interpreter_with_another_hash_seed():
    first, second = hashes(0), hashes(4242)
    assert first == second
    assert len({line.split()[-1] for line in first.splitlines()}) == 8


# --- rare states ------------------------------------------------------------------------------------------------------


def test_a_campaign_that_never_met_a_rare_state_says_which_and_fails(monkeypatch):
    met = Counter(dict.fromkeys((state for state in swarm.SOMETIMES if state != "Torn"), 1))
    monkeypatch.setattr(swarm, "attempt", lambda seed: swarm.Verdict(seed, seeds=1, sometimes=met))
    result = CliRunner().invoke(main, ["swarm", "--seeds", "7-9", "--demand"])
    assert result.exit_code == 1
    assert "never met: Torn" in result.output


# --- oracles of keeping -----------------------------------------------------------------------------------------------


def test_a_share_that_is_verified_and_not_sound_is_a_violation(monkeypatch):
    monkeypatch.setattr("tahoe.sim.keepwork.sound_on", lambda *_: set())
    with pytest.raises(Violation, match="was verified, and is not"):
        trial((*FILES, Keep(0, 8.0, 2, "verify", 0))).run()


def test_a_repair_that_leaves_shares_missing_is_a_violation(monkeypatch):
    async def idle(self, examination, *_):
        return Mended(examination.health, NOTHING_DONE, examination.health)

    run = trial(FILES)
    work_again = run._work_again

    def spoil():
        work_again()
        run._judge = lambda: None
        run.grid.restart(next(iter(run.grid.fleet.disks)), empty_disk=True)
        run.grid.run(60.0)

    run._work_again = spoil
    monkeypatch.setattr(Keeper, "mend", idle)
    with pytest.raises(Violation, match="repaired, and"):
        run.run()


def test_a_forged_announcement_that_is_believed_is_a_violation(monkeypatch):
    monkeypatch.setattr("tahoe.session.statement._check", lambda *_: None)
    run = trial((), tuple(Scheduled(1.0 + place, Rumour("server-0", "forged", place)) for place in range(20)))
    run._settle = lambda: None
    with pytest.raises(Violation, match="believes what"):
        run.run()


def test_going_back_to_an_older_announcement_is_a_violation(monkeypatch):
    monkeypatch.setattr(Announcement, "age", property(lambda self: _Newest((self.epoch, self.sequence))))
    faults = (Scheduled(1.0, Crash("server-0")), Scheduled(2.0, Restart("server-0")), Scheduled(9.0, STALE))
    with pytest.raises(Violation, match="said before"):
        trial((), faults).run()


class _Newest(tuple):
    """An age that is never the lesser one where the program asks."""

    __slots__ = ()

    def __le__(self, other):
        return False


def test_being_shown_what_is_older_than_what_one_has_written_is_a_violation(monkeypatch):
    true_read = Slots.read

    async def forgetful(self, capability, offset=0, length=None):
        contents = await true_read(self, capability, offset, length)
        return contents._replace(version=VersionId(0, bytes(32)), may_be_stale=True)

    monkeypatch.setattr(Slots, "read", forgetful)
    with pytest.raises(Violation, match="older version of a slot than he had written"):
        trial(WRITES).run()


def test_being_told_that_honest_people_wrote_nonsense_is_a_violation(monkeypatch):
    async def confused(self, capability, client=0, offset=0, length=None):
        raise CorruptFile("segment 0 of 1")

    monkeypatch.setattr(SimGrid, "fetch", confused)
    with pytest.raises(Violation, match="wrote nonsense"):
        trial(FILES).run()


def test_a_caretaker_that_mends_nothing_is_a_violation(monkeypatch):
    async def idle(self):
        return

    run = Trial(replace(ROOMY, is_cared_for=True), (), FILES)
    judge = run._judge

    def spoil():
        judge()
        run.grid.restart(next(iter(run.grid.fleet.disks)), empty_disk=True)

    run._judge = spoil
    monkeypatch.setattr(Caretaker, "round", idle)
    with pytest.raises(Violation, match="are looked after, and after"):
        run.run()


@pytest.mark.parametrize(
    ("lie", "told"), [(Drained(ended=1.0), "too few shares elsewhere"), (Drained(), "not get empty")]
)
def test_a_leaving_server_that_is_still_needed_or_never_done_is_a_violation(monkeypatch, lie, told):
    async def idle(self):
        self.last = lie

    monkeypatch.setattr(Drainer, "look", idle)
    run = Trial(replace(ROOMY, encoding=Encoding(3, 3, 3), servers=3), (LEAVE,), FILES)
    run._work_again = lambda: None
    with pytest.raises(Violation, match=told):
        run.run()


def test_a_server_leaves_and_nothing_is_lost():
    files = tuple(StoreFile(0, 0.1, number, 3000, number, convergent=False) for number in range(8))
    run = Trial(ROOMY, (LEAVE,), files)
    run.run()
    assert run.verdict.sometimes["drained"]


def test_what_was_leased_and_is_collected_is_a_violation(monkeypatch):
    for name in ("horizon", "grace_ends"):
        monkeypatch.setattr(Collection, name, lambda *_: float("inf"))
    run = Trial(replace(draw(SEED), is_sealed=True, are_leases_short=True), (), FILES)
    with pytest.raises((Violation, NotEnoughShares)):
        run.run()


def test_a_file_on_too_few_servers_is_a_violation(monkeypatch):
    run = trial(FILES)
    monkeypatch.setattr(Workshop, "set_up", lambda shop: setattr(shop, "happy", 100))
    with pytest.raises(Violation, match="was stored on"):
        run.run()
