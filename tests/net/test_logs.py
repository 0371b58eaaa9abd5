"""Logs: sentences with facts, for people and for programs, and never a capability."""

import json

import pytest

from tahoe.errors import BadConfiguration
from tahoe.net.logs import mask, open_log

CAPABILITY = "URI:CHK:ihrbeov7lbvoduupd4qblysj7a:bg5agsdt62jb34hxvxmdsbza6do64f4fg5anxxod2buttbo6udzq:3:10:28733"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "logs" / "node.log"


def test_people_read_a_line_with_sentence_and_facts(file):
    log = open_log("anna", file)
    log.info("connected", broker="mqtt://h:1", seconds=0.123456, problem="two words")
    log.close()
    assert file.read_text().endswith('info    anna: connected broker=mqtt://h:1 seconds=0.123 problem="two words"\n')


def test_programs_read_an_object_a_line(file):
    log = open_log("anna", file, as_json=True)
    log.warning("no broker", problem="it is down", attempts=3)
    log.close()
    entry = json.loads(file.read_text())
    assert entry.pop("time")
    assert entry == {"level": "warning", "node": "anna", "message": "no broker", "problem": "it is down", "attempts": 3}


@pytest.mark.parametrize("as_json", [False, True])
def test_a_capability_is_masked_wherever_it_hides(file, as_json):
    log = open_log("anna", file, as_json=as_json)
    sentence = "reading " + CAPABILITY
    log.info(sentence, cap=CAPABILITY, nested={"cap": CAPABILITY})
    log.failure("a story failed", ValueError("bad " + CAPABILITY))
    log.close()
    text = file.read_text()
    assert text.count("URI:(masked)") >= 4
    assert "ihrbeov7" not in text
    assert "ValueError" in text


@pytest.mark.parametrize(
    "text",
    [
        CAPABILITY,
        CAPABILITY.replace(":", "%3A"),
        "URI:DIR2:abc:def",
        "URI:LIT:krugkidfnzsc4",
        "x-tahoe-future-URI:thing",
        CAPABILITY.lower(),
    ],
)
def test_every_spelling_of_a_capability_is_masked(text):
    assert mask(f"before {text} after") == "before URI:(masked) after"


def test_less_serious_lines_than_asked_for_are_left_out(file):
    log = open_log("anna", file, "warning")
    log.debug("detail")
    log.info("news")
    log.error("trouble")
    log.close()
    assert file.read_text().count("\n") == 1


def test_the_terminal_gets_the_lines_too(file, capsys):
    log = open_log("anna", file, terminal=True)
    log.info("started", role="storage")
    log.close()
    assert "anna: started role=storage" in capsys.readouterr().err


def test_a_log_that_cannot_be_written_is_refused_by_name(tmp_path):
    (tmp_path / "logs").write_text("a file where a directory should be")
    with pytest.raises(BadConfiguration, match=r"node\.log: can't be written"):
        open_log("anna", tmp_path / "logs" / "node.log")
