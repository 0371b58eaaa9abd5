"""Published formats are read, told apart from what they are not, and made into weather."""

from math import log
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from tahoe.policy.uptime import GONE, THERE, UptimeLog
from tahoe.sim.fitting import fit_lognormal
from tahoe.sim.montecarlo import unplaced
from tahoe.sim.traces.__main__ import main
from tahoe.sim.traces.archive import read_archive
from tahoe.sim.traces.availability import read_avt
from tahoe.sim.traces.drives import read_drives
from tahoe.sim.traces.history import BadTrace, Resample, Span, history_of
from tahoe.sim.traces.lanl import read_lanl, systems
from tahoe.sim.traces.uptime import read_uptime
from tahoe.sim.weather import DAY, Replay, forecast

LANL = """System,machine type,nodes,procstot,procsinnode,nodenum,nodenumz,node install,node prod,node decom,fru type,mem,cputype,memtype,num intercon,purpose,Prob Started,Prob Fixed,Down Time,Facilities,Hardware,Human Error,Network,Undetermined,Software,Same Event
2,cluster,49,6152,80,0,0,5-Apr,5-Jun,current,part,80,1,1,0,graphics.fe,6/21/2005 10:54,6/21/2005 11:00,6,,Graphics Accel Hdwr,,,,,No
2,cluster,49,6152,80,5,5,5-Apr,5-Jun,current,part,80,1,1,0,compute,6/21/2005 10:54,6/21/2005 11:54,60,,,,,,OS,No
2,cluster,49,6152,80,5,5,5-Apr,5-Jun,current,part,80,1,1,0,compute,6/22/2005 10:54,6/22/2005 10:54,0,,,,,Unresolvable,,No
20,smp,1,1,1,3,3,5-Apr,5-Jun,current,part,80,1,1,0,compute,7/1/2005 00:00,7/1/2005 02:00,120,Power Outage,,,,,,No
"""

ARCHIVE = """# event_id\tcomponent_id\tnode_id\tplatform_id\tnode_name\tevent_type\tevent_start_time\tevent_stop_time\tevent_end_reason
0\t0\t0\t0\talpha\t1\t1000\t1500\tNULL
1\t0\t0\t0\talpha\t0\t1500\t1600\t6
2\t0\t0\t0\talpha\t1\t1600\t2000\tNULL
3\t0\t1\t0\tbeta\t1\t1000\t2000\tNULL
"""

AVT = "alpha\t2 0 400 500 1000\nbeta\t1 100 1000\n"

DRIVES = """date,serial_number,model,capacity_bytes,failure,smart_1_raw
2024-01-01,A,ST4000,4000,0,1
2024-01-01,B,ST4000,4000,0,1
2024-01-01,C,HGST,4000,0,1
2024-01-02,A,ST4000,4000,1,1
2024-01-02,B,ST4000,4000,0,1
2024-01-02,C,HGST,4000,0,1
2024-01-03,B,ST4000,4000,0,1
"""


@pytest.fixture
def write(tmp_path):
    def store(text, name="trace"):
        path: Path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return store


def test_failure_records_of_los_alamos_become_spans_with_causes(write):
    path = write(LANL)
    history = read_lanl(path)
    assert history.nodes == ("2/0", "2/5", "20/3")
    assert history.downs() == [360.0, 3600.0, 7200.0]
    assert [span.cause for span in history.spans] == ["hardware", "software", "undetermined", "facilities"]
    assert systems(path) == ["2", "20"]
    assert read_lanl(path, "2").gaps() == [86400.0]
    assert read_lanl(path, "2").nodes == ("2/0", "2/5")


def test_tables_of_the_failure_trace_archive_keep_nodes_that_never_failed(write):
    history = read_archive(write(ARCHIVE))
    assert history.nodes == ("0", "1")
    assert (history.begin, history.end) == (1000.0, 2000.0)
    assert history.availability() == pytest.approx(1 - 100 / 2000)
    assert history.incidents()[0].at == 500.0


def test_sessions_become_what_lies_between_them(write):
    history = read_avt(write(AVT))
    assert [(span.node, span.start, span.end) for span in history.spans] == [("alpha", 400, 500), ("beta", 0, 100)]
    assert history.availability() == pytest.approx(0.9)
    assert history.ups() == []


def test_drives_that_are_alive_are_kept_apart_from_those_that_failed(write):
    drives = read_drives([write(DRIVES)])
    assert drives.failed == (2 * DAY,)
    assert drives.alive == (2 * DAY, 3 * DAY)
    assert drives.yearly_failure_rate() == pytest.approx(365 / 7)
    assert read_drives([write(DRIVES)], model="HGST").failed == ()


def test_what_a_client_node_has_seen_of_servers_makes_a_history(tmp_path):
    log = UptimeLog()
    for node, state, minute in (("a", THERE, 0), ("b", THERE, 0), ("a", GONE, 10), ("a", THERE, 30), ("b", GONE, 50)):
        log.see(f"v0-{node}", state, 60 * minute)
    log.look_away(60 * 60)
    path = tmp_path / "uptime"
    path.write_bytes(log.pack())
    history = read_uptime(path)
    assert history.nodes == ("v0-a", "v0-b")
    assert [tuple(span)[:3] for span in history.spans] == [("v0-a", 600, 1800), ("v0-b", 3000, 3600)]
    assert (history.begin, history.end) == (0, 3600)


def test_a_log_in_which_nobody_was_ever_seen_is_refused(tmp_path):
    (tmp_path / "uptime").write_bytes(UptimeLog().pack())
    with pytest.raises(BadTrace, match="no server was ever seen"):
        read_uptime(tmp_path / "uptime")


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (read_lanl, "a,b\n1,2\n", "the columns Down Time, Prob Started, System, nodenum are not in its first line"),
        (read_lanl, LANL.replace("6/22/2005 10:54,", "yesterday,", 1), "line 4"),
        (read_lanl, LANL.splitlines()[0] + "\n", "is it empty"),
        (read_archive, ARCHIVE.replace("\t1500\t1600", "\t1500\tsoon"), "line 3"),
        (read_archive, "a\tb\n1\t2\n", "has the columns node_id"),
        (read_avt, "alpha\t2 0 400\n", "line 1: 2 sessions are announced, 2 times follow"),
        (read_avt, "alpha\tx\n", "line 1"),
        (read_avt, "", "not a single node"),
        (read_uptime, "node,up\n", "no uptime log"),
        (lambda path: read_drives([path]), "x,y\n", "are not in its first line"),
    ],
)
def test_what_is_no_such_trace_is_refused_with_its_place(write, reader, text, message):
    with pytest.raises(BadTrace, match=message):
        reader(write(text))


def test_a_history_is_replayed_as_it_was(write):
    history = read_avt(write(AVT))
    incidents = forecast((Replay(history.incidents()),), unplaced(2), history.seconds, 1)
    assert [(one.at, one.server, one.seconds) for one in incidents] == [(0.0, 1, 100.0), (400.0, 0, 100.0)]


def test_a_history_is_extended_and_resampled_without_changing_its_availability(write):
    history = read_avt(write(AVT))
    incidents = forecast((Resample(history),), unplaced(300), 20 * history.seconds, 1)
    down = sum(one.seconds for one in incidents) / (300 * 20 * history.seconds)
    assert down == pytest.approx(1 - history.availability(), abs=0.01)
    assert {one.server for one in incidents} == set(range(300))


def test_overlapping_records_of_one_machine_are_one_span():
    spans = [("a", 0.0, 10.0, ""), ("a", 5.0, 20.0, ""), ("a", 30.0, 40.0, "")]
    history = history_of([Span(*one) for one in spans])
    assert [(span.start, span.end) for span in history.of("a")] == [(0.0, 20.0), (30.0, 40.0)]
    assert history.availability() == pytest.approx(0.25)


def test_a_command_prints_what_a_trace_holds_and_which_laws_fit(write):
    many = "".join(f"n{number}\t2 0 {100 + 7 * number} {120 + 11 * number} 1000\n" for number in range(12))
    shown = CliRunner().invoke(main, ["--format", "avt", str(write(many))], catch_exceptions=False).output
    assert "12 machines" in shown
    assert "spans down" in shown
    assert "Weibull(" in shown
    lanl = CliRunner().invoke(main, ["--format", "lanl", str(write(LANL))], catch_exceptions=False).output
    assert "3 machines, 4 spans down" in lanl
    drives = CliRunner().invoke(main, ["--format", "drives", str(write(DRIVES))], catch_exceptions=False).output
    assert "3 drives, 1 failed" in drives
    refused = CliRunner().invoke(main, ["--format", "avt", str(write(""))])
    assert refused.exit_code == 1
    assert "not a single node" in refused.output


def test_repair_times_drawn_as_published_are_fitted_as_published():
    # LANL's repair times: log-normal, mu = 4.144 and sigma = 1.413 in ln minutes (LA-UR-05-7318)
    rng = Random(1)
    law = fit_lognormal([rng.lognormvariate(4.144, 1.413) for _ in range(23_617)])
    assert log(law.median) == pytest.approx(4.144, abs=0.04)
    assert law.sigma == pytest.approx(1.413, abs=0.03)
