"""What strangers' files and pages could try, in a real browser: to run, to reach the API, to learn a capability."""

from __future__ import annotations

import http.server
import json
import re
import threading
from contextlib import contextmanager

import pytest

ATTACK = """
  window.parent.postMessage("ran", "*");
  document.documentElement.setAttribute("data-ran", "yes");
  fetch("/status").then((answer) => answer.text()).then((text) => window.parent.postMessage(text, "*"));
  fetch("/drive/private/stolen", { method: "PUT", body: "by a file" });
"""

HTML = f"<!doctype html><title>t</title><p id=p>a page</p><script>{ATTACK}</script><form id=f action=/open method=post></form>"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/><script>{ATTACK}</script></svg>'


@pytest.mark.parametrize(
    ("name", "content"), [("evil.html", HTML), ("evil.svg", SVG), ("evil.xhtml", HTML), ("evil", HTML)]
)
def test_a_stored_page_with_a_script_reaches_nothing(profile, site, home, name, content):
    site.ask("PUT", f"/vdrive/private/{home}/{name}", content.encode())
    where = f"/drive/private/{home}/{name}"
    page = profile.page(where)
    told = []
    page.expose_function("told", lambda text: told.append(text))  # noqa: PLW0108  # the driver marks what it is given
    page.evaluate("() => { window.onmessage = (event) => window.told(String(event.data)); }")
    # It is shown as text, saved instead of opened, and framed by our own page it still does not run.
    with page.expect_download():
        page.evaluate(
            "(url) => { const a = document.createElement('a'); a.href = url; document.body.append(a); a.click(); }",
            where + "?raw",
        )
    frame = """(url) => new Promise((done) => {
        const frame = document.createElement("iframe");
        frame.onload = () => setTimeout(done, 300);
        setTimeout(done, 1000);
        frame.src = url;
        document.body.append(frame);
    })"""
    page.evaluate(frame, where + "?raw")
    for cap in (site.ask("GET", f"/vdrive/private/{home}/{name}?t=uri"),):
        page.evaluate(frame, f"/uri/{cap}?filename={name}")
    assert told == []
    assert page.locator("html").get_attribute("data-ran") is None
    assert site.request("GET", "/vdrive/private/stolen")[0] == 404


def test_a_stored_text_that_looks_like_a_page_is_only_read(profile, site, home):
    site.ask("PUT", f"/vdrive/private/{home}/evil.txt", HTML.encode())
    page = profile.page(f"/drive/private/{home}/evil.txt")
    assert page.locator(".preview pre").inner_text().startswith("<!doctype html>")
    page.goto(site.url(f"/drive/private/{home}/evil.txt?raw"))
    assert page.evaluate("document.documentElement.getAttribute('data-ran')") is None


def test_a_name_that_looks_like_a_tag_is_only_a_name(profile, site, home):
    name = "<img src=x onerror=alert(1)>&\"'"
    children = {name: ["filenode", {"ro_uri": "URI:LIT:me"}]}
    site.ask("POST", f"/vdrive/private/{home}?t=set_children", json.dumps(children).encode())
    page = profile.page(f"/drive/private/{home}")
    assert page.locator("a.entry").inner_text() == name
    page.locator("a.entry").click()
    assert page.get_by_role("heading", level=1).inner_text() == name


@contextmanager
def strangers_site(body: str):
    """A web server of somebody else on this machine."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_another_sites_form_changes_nothing(browser, site, home):
    target = site.url(f"/drive/private/{home}?mkdir")
    form = f'<form method=post action="{target}"><input name=name value=forged></form><script>document.forms[0].submit()</script>'
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(site.invitation)
        with strangers_site(form) as url:
            page.goto(url)
            page.wait_for_url(re.compile(r".*/drive/private/.*"))
            assert page.get_by_role("heading", level=1).inner_text() in {"Forbidden", "This node is locked"}
    finally:
        context.close()
    assert site.request("GET", f"/vdrive/private/{home}/forged")[0] == 404


def test_another_site_can_neither_frame_nor_read_a_page(browser, site):
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(site.invitation)
        with strangers_site(f'<iframe src="{site.url("/")}"></iframe>') as url:
            page.goto(url)
            page.wait_for_load_state("networkidle")
            assert "All is well" not in page.frames[1].content()
            read = "(url) => fetch(url, { credentials: 'include' }).then((a) => a.text()).catch(() => 'refused')"
            assert page.evaluate(read, site.url("/status")) == "refused"
    finally:
        context.close()


def test_no_capability_ever_stands_in_the_address_bar(profile, site, home):
    visited = []
    site.ask(
        "PUT", f"/vdrive/private/{home}/deep/a.txt", b"a file that is long enough to lie on servers, by a few words"
    )
    cap = site.ask("GET", f"/vdrive/private/{home}?t=uri")
    page = profile.page("/")
    page.on("framenavigated", lambda frame: visited.append(frame.url))
    page.get_by_label("Capability somebody gave you").fill(cap)
    page.get_by_role("button", name="Open", exact=True).click()
    page.get_by_role("link", name="deep", exact=True).click()
    page.get_by_role("link", name="a.txt", exact=True).click()
    page.get_by_role("link", name="Ask the servers").click()
    page.get_by_label("Name", exact=True).fill("b.txt")
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("heading", name="b.txt").wait_for()
    assert len(visited) >= 5
    # Whoever types one there is taken to a page where it does not stand; roots have pages of their own, too.
    site.ask("PUT", f"/vdrive/private/{home}/what%3F/a%23b", b"odd names")
    page.goto(site.url(f"/vdrive/private/{home}/what%3F/a%23b"))
    assert page.url == site.url(f"/drive/private/{home}/what%3F/a%23b")
    assert page.get_by_role("heading", level=1).inner_text() == "a#b"
    page.goto(site.url(f"/uri/{cap}/deep"))
    assert re.fullmatch(rf"http://{site.host}/d/[\w-]+/deep", page.url)
    assert not [url for url in [*visited[:-1], page.url] if "URI" in url and "/uri/" not in url]


def test_a_browser_that_was_not_let_in_learns_nothing(browser, site, home):
    context = browser.new_context()
    try:
        page = context.new_page()
        for path in (
            "/",
            "/drive/private",
            f"/drive/private/{home}",
            "/transfers",
            "/storage",
            "/provisioning",
            "/roots",
        ):
            assert page.goto(site.url(path)).status == 401, path
            assert "tahoe webopen" in page.content()
            assert "kitchen" not in page.content()
    finally:
        context.close()


def test_an_invitation_works_once(browser, site):
    address = site.invitation
    for expected in (200, 403):
        context = browser.new_context()
        try:
            assert context.new_page().goto(address).status == expected
        finally:
            context.close()


def test_a_strangers_picture_is_shown_and_its_contents_come_in_a_sandbox(profile, site, home):
    site.ask("PUT", f"/vdrive/private/{home}/a.png", PIXEL)
    page = profile.page(f"/drive/private/{home}/a.png")
    assert page.locator(".preview img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 1
    _, headers, _ = site.request("GET", f"/vdrive/private/{home}/a.png")
    assert headers["Content-Security-Policy"] == "sandbox"
    assert headers["X-Content-Type-Options"] == "nosniff"


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)
