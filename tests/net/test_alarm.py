"""A change of state reaches whoever wants to hear of it."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tahoe.actors.carereport import CareReport, Light
from tahoe.errors import BadConfiguration
from tahoe.net.alarm import alarm_of
from tahoe.net.careconfig import CareSection

REPORT = CareReport(Light.YELLOW, (), ("something is at risk",), {}, 1000.0, 0.0)


def test_a_command_gets_the_state_as_its_argument(tmp_path):
    told = tmp_path / "told"
    code = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    before = threading.enumerate()
    alarm_of(CareSection(on_change=f"{sys.executable} -c '{code}' {told}"))(REPORT)
    for thread in threading.enumerate():
        if thread not in before:
            thread.join(30)
    assert told.read_text() == "yellow"


def test_a_webhook_gets_the_whole_report():
    heard = []
    arrived = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            arrived.set()

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.handle_request, daemon=True).start()
    alarm_of(CareSection(webhook=f"http://127.0.0.1:{server.server_port}/"))(REPORT)
    assert arrived.wait(30)
    server.server_close()
    assert heard[0]["state"] == "yellow"
    assert heard[0]["reasons"] == ["something is at risk"]


def test_nobody_to_tell_is_no_harm_and_nonsense_is_refused():
    alarm_of(CareSection())(REPORT)
    with pytest.raises(BadConfiguration, match="webhook"):
        alarm_of(CareSection(webhook="file:///etc/passwd"))
    with pytest.raises(BadConfiguration, match="on_change"):
        alarm_of(CareSection(on_change="'"))
