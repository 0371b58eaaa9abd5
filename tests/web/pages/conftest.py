"""A gateway with pages over a whole grid in one process, and a real browser in front of it."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tahoe.actors.caretaker import Caretaker, CareTerms
from tahoe.net.logs import NodeLog
from tahoe.web.app import Gateway
from tahoe.web.guard import Guard
from tahoe.web.jobs import JobBoard
from tahoe.web.pages import page_routes
from tahoe.web.serve import URL_FILE, GatewayServer, listen
from tahoe.web.services import Keeping, Services
from tests.web.conftest import SECRET, TOKEN, loop_in_a_thread
from tests.web.grid import Grid
from tests.web.pages.samples import Books, status_of_a_grid

PICTURES = Path(__file__).resolve().parents[3] / "build" / "pictures"
"""Where screen shots are kept for people to look at."""

WINDOWS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1200, "height": 850}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1200, "height": 850}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}


@dataclass
class Site:
    """A running gateway with pages."""

    grid: Grid
    port: int
    services: Services
    loop: asyncio.AbstractEventLoop
    status: dict = field(default_factory=dict)

    def request(self, method: str, path: str, body=None, *, token: str | None = TOKEN, **headers: str):
        """Make a request as a program does; the answer, read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode("utf-8", "replace")
        finally:
            connection.close()

    def ask(self, method: str, path: str, body=None, **headers: str) -> str:
        """Make a request that has to succeed; its text."""
        status, _, text = self.request(method, path, body, **headers)
        assert status in {200, 201}, (method, path, status, text)
        return text.strip()

    @property
    def invitation(self) -> str:
        """An address that lets one browser in."""
        return json.loads(self.ask("POST", "/session", b""))["url"]

    @property
    def host(self) -> str:
        """The gateway's own host name, with its port."""
        return f"{self.services.guard.sessions.host}:{self.port}"

    def url(self, path: str) -> str:
        """The address of a page."""
        return f"http://{self.host}{path}"


@contextmanager
def running_site(directory: Path) -> Iterator[Site]:
    """Run a gateway with pages."""
    with loop_in_a_thread() as loop:
        told = status_of_a_grid(time.time())

        async def status() -> dict:
            return told

        async def begin() -> tuple[Site, GatewayServer]:
            grid = Grid()
            log = NodeLog(logging.getLogger("gateway"))
            keeping = Keeping(SECRET, directory)
            caretaker = Caretaker(grid.client.ctx, grid.client, CareTerms())  # it works only when it is told to
            await caretaker.care.load()
            services = Services(
                grid.client, keeping, Guard(TOKEN), status, JobBoard(log), caretaker=caretaker, books=Books()
            )
            gateway = Gateway(services, log, page_routes(services))
            server = GatewayServer(gateway, listen("127.0.0.1", 0), directory / URL_FILE)
            await server.start()
            port = int(server.url.rstrip("/").rpartition(":")[2])
            return Site(grid, port, services, loop, told), server

        async def end() -> None:
            await server.stop()
            await site.services.jobs.stop()
            await site.grid.stop()

        site, server = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
        try:
            yield site
        finally:
            asyncio.run_coroutine_threadsafe(end(), loop).result(10)
            assert site.grid.failures == []


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="module")  # while it is there, nothing else in this process can run an event loop
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=15_000)
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(playwright) -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "the tests of pages need chromium: run 'make system' (Debian: apt-get install chromium)"
    # CI runs as root in a container: there chromium has no sandbox of its own, and little shared memory.
    launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
    yield launched
    launched.close()


@dataclass
class Profile:
    """A browser profile that was let in, and everything it asked for."""

    context: BrowserContext
    site: Site
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def page(self, path: str = "/") -> Page:
        """Open a page in a new tab."""
        page = self.context.new_page()
        page.goto(self.site.url(path))
        return page


@contextmanager
def profile_of(browser: Browser, site: Site, window: str = "light", **more: object) -> Iterator[Profile]:
    """Open a profile and let it in; when it ends, it must have asked nobody else, and complained of nothing."""
    context = browser.new_context(**WINDOWS[window], accept_downloads=True, **more)
    context.set_default_timeout(20_000)
    profile = Profile(context, site)
    context.on("request", lambda request: profile.asked.append(request.url))
    context.on("weberror", lambda error: profile.complaints.append(str(error.error)))
    door = context.new_page()
    door.goto(site.invitation)
    door.close()
    try:
        yield profile
    finally:
        context.close()
    ours = ("data:", "blob:", "chrome:", "chrome-extension:", f"http://{site.host}/")  # the browser's viewer of PDFs
    elsewhere = [url for url in profile.asked if not url.startswith(ours)]
    assert elsewhere == []
    assert profile.complaints == []


@pytest.fixture
def profile(browser, site) -> Iterator[Profile]:
    with profile_of(browser, site) as opened:
        yield opened


@pytest.fixture
def without_script(browser, site) -> Iterator[Profile]:
    with profile_of(browser, site, java_script_enabled=False) as opened:
        yield opened


@pytest.fixture
def home(site, request) -> str:
    """A folder of a test's own in the private drive."""
    name = request.node.name.replace("[", "-").replace("]", "")[:60]
    site.ask("POST", f"/vdrive/private?t=mkdir&name={name}", b"")
    return name


def picture(page: Page, name: str) -> None:
    """Keep a screen shot."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
