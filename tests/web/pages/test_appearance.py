"""How pages look and sound: light, dark and narrow, for eyes, keyboards and screen readers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.web.pages.conftest import picture, profile_of
from tests.web.pages.samples import history

PAGES = {
    "welcome": "/",
    "folder": "/drive/private/gallery",
    "read-only-file": "/drive/private/gallery/letter.md",
    "file": "/drive/private/gallery/report.bin?about&shares",
    "slot": "/drive/private/gallery?about&shares",
    "empty": "/drive/private/gallery/empty",
    "transfers": "/transfers",
    "health": "/health",
    "storage": "/storage",
    "provisioning": "/provisioning?total=12",
    "provisioning-problems": "/provisioning?needed=90&up=many",
    "introducer": "/introducer",
    "vdrive": "/roots",
    "problem": "/drive/private/nowhere",
}


RULES = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "phone": {
        "type": "rule",
        "values": ["target-size", "scrollable-region-focusable", "meta-viewport", "td-has-header"],
    },
}
"""Most rules are about a page's structure, which is the same in every window."""


@pytest.fixture(scope="module", autouse=True)
def gallery(site):
    """A folder with something of everything."""
    site.ask("POST", "/vdrive/private?t=mkdir&name=gallery", b"")
    site.ask("POST", "/vdrive/private/gallery?t=mkdir&name=empty", b"")
    site.ask("PUT", "/vdrive/private/gallery/letter.md", b"# Dear friend\n\nThe lake is calm.\n" * 4)
    site.ask("PUT", "/vdrive/private/gallery/report.bin", bytes(range(256)) * 2000)
    site.ask("GET", "/vdrive/private/gallery/letter.md")


@contextmanager
def trouble_with_servers(site) -> Iterator[None]:
    """For a while, nothing that servers were asked was answered."""
    before = site.status["servers"]
    site.status["servers"] = [told | {"history": history(failures=60.0, answers=0.0)} for told in before]
    yield
    site.status["servers"] = before


OUTSIDE = """(texts) => texts.filter((each) => {
    const box = each.getBBox();
    return box.x < -1 || box.x + box.width > each.ownerSVGElement.viewBox.baseVal.width + 1;
}).map((each) => each.textContent)"""
"""Those words of a drawing that its frame cuts off."""

SPILLED = """(cells) => cells.filter((each) => [...each.children].some(
    (child) => child.getBoundingClientRect().right > each.getBoundingClientRect().right + 1
)).map((each) => each.textContent)"""
"""Those cells of a table that what is in them does not fit into."""


@pytest.mark.parametrize("window", ["light", "dark", "phone"])
def test_pages_are_accessible_and_fit(browser, site, window):
    with profile_of(browser, site, window) as profile:
        page = profile.page("/")
        for name, path in PAGES.items():
            page.goto(site.url(path))
            page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            picture(page, f"{name}-{window}")
            found = Axe().run(page, options={"runOnly": RULES[window], "elementRef": False})
            told = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found.response["violations"]]
            assert told == [], f"{name} ({window}): {json.dumps(told, indent=1)}"
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{name} ({window}) is {wide} pixels too wide"


def test_a_transfer_has_a_timeline(browser, site):
    with profile_of(browser, site) as profile:
        page = profile.page("/transfers")
        page.get_by_role("link", name="report.bin").first.click()
        expect(page.get_by_role("img", name="Questions to each server")).to_be_visible()
        assert page.locator(".timeline rect").count() >= 2
        assert page.locator(".timeline text").evaluate_all(OUTSIDE) == []
        picture(page, "transfer-light")
        assert Axe().run(page).response["violations"] == []


def test_dark_is_dark_and_light_is_light(browser, site):
    shades = {}
    for window in ("light", "dark"):
        with profile_of(browser, site, window) as profile:
            colour = profile.page("/").evaluate("getComputedStyle(document.body).backgroundColor")
            shades[window] = sum(int(part) for part in colour[4:-1].split(","))
    assert shades["dark"] < 120
    assert shades["light"] > 600


def test_headings_and_landmarks_lead_through_a_page(profile):
    page = profile.page("/drive/private/gallery")
    assert page.get_by_role("main").count() == page.get_by_role("banner").count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    expect(page.get_by_role("navigation", name="Where you are")).to_be_visible()
    expect(page.get_by_role("link", name="Private drive").first).to_have_attribute("aria-current", "page")


def test_the_first_page_follows_the_grid_while_it_is_looked_at(profile, site):
    page = profile.page("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("All is well")
    broker = site.status["brokers"][0]
    broker["connected"] = False
    try:
        expect(page.get_by_role("heading", level=1)).to_have_text("The grid is out of reach", timeout=10_000)
    finally:
        broker["connected"] = True


def test_a_transfer_is_followed_to_its_end_and_no_further(profile, site):
    with site.services.transfers.watch("download", "crossing.bin", 2_000_000) as transfer:
        page = profile.context.new_page()
        page.clock.install()
        page.goto(site.url(f"/transfer/{transfer.identity}"), wait_until="networkidle")
        expect(page.locator(".chip").first).to_have_text("running")
        transfer.moved = 2_000_000
    page.clock.run_for("00:10")
    expect(page.locator(".chip").first).to_have_text("done")
    expect(page.get_by_text("2 MB in")).to_be_visible()
    before = len(profile.asked)
    page.clock.run_for("10:00")
    page.evaluate("() => fetch('/transfers')")  # whatever was asked before this has been noted when it is
    assert profile.asked[before:] == [site.url("/transfers")]


def test_a_page_that_nobody_sees_asks_for_nothing(profile, site):
    page = profile.context.new_page()
    page.clock.install()  # the page's timers run when the test says so, and never by themselves
    page.goto(site.url("/"), wait_until="networkidle")
    page.evaluate("() => Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    before = len(profile.asked)
    page.clock.run_for("10:00")
    page.evaluate("() => fetch('/transfers')")  # whatever was asked before this has been noted when it is
    assert profile.asked[before:] == [site.url("/transfers")]
    page.evaluate("() => { delete document.hidden; }")
    with page.expect_request("**/?live=*"):
        page.clock.run_for("00:10")


@pytest.mark.parametrize("window", ["light", "phone"])
def test_what_is_told_of_a_server_stays_in_its_cell(browser, site, window):
    with profile_of(browser, site, window) as profile, trouble_with_servers(site):
        page = profile.page("/")
        expect(page.get_by_text("100 % of questions failed").first).to_be_visible()
        assert page.locator(".cards td").evaluate_all(SPILLED) == []
        picture(page, f"servers-in-trouble-{window}")


def test_a_short_name_takes_one_line_on_a_phone(browser, site):
    with profile_of(browser, site, "phone") as profile:
        page = profile.page("/drive/private/gallery")
        heights = {
            page.get_by_role("link", name=name, exact=True).bounding_box()["height"] for name in ("empty", "letter.md")
        }
        assert len(heights) == 1, heights


def test_an_address_that_nothing_has_is_answered_with_a_page(profile, site):
    page = profile.page("/")
    assert page.goto(site.url("/no/such/thing")).status == 404
    expect(page.get_by_text("there is no page at this address")).to_be_visible()
    page.get_by_role("link", name="To the first page").click()
    assert page.url == site.url("/")
    status, headers, _ = site.request("GET", "/no/such/thing")
    assert (status, headers["content-type"]) == (404, "text/plain; charset=utf-8")
