"""The health of what is looked after: what its page and the first page tell, and what the buttons do."""

from __future__ import annotations

from random import Random

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tahoe.web.pages.welcome import welcome
from tahoe.web.pages.work import work
from tests.web.pages.conftest import picture, profile_of
from tests.web.pages.samples import status_of_a_grid
from tests.web.test_checks import lose

NOW = 1_700_000_000.0
DAY = 86_400.0


# --- the first page ----------------------------------------------------------------------------------------


def report(**objects: int):
    """What a caretaker would tell of one root."""
    root = {"name": "private", "objects": objects, "verified-age": 7200.0, "trouble": "", "published": False}
    servers = dict.fromkeys(("present", "asleep", "leaving", "distrusted", "gone", "known"), 0)
    return {"state": "green", "reasons": [], "servers": servers, "last-round-age": 60.0, "roots": [root], "stale-after": 14 * DAY}  # fmt: skip


def alarms(health):
    return [(alarm.level, alarm.text) for alarm in welcome(status_of_a_grid(NOW), health).alarms]


def test_what_is_safe_raises_no_alarm_and_tells_its_age():
    view = welcome(status_of_a_grid(NOW), report(safe=12))
    assert (view.level, view.alarms) == ("good", [])
    assert view.care == "12 objects looked after; all of them seen alive within the last 2 hours."


def test_what_was_not_looked_at_yet_is_no_alarm():
    health = report(unknown=3)
    health["roots"][0]["verified-age"] = health["last-round-age"] = None
    view = welcome(status_of_a_grid(NOW), health)
    assert (view.level, view.alarms) == ("good", [])
    assert "not all of them seen alive yet" in view.care
    assert welcome(status_of_a_grid(NOW), report()).care == ""


def test_a_loss_stands_above_everything():
    view = welcome(status_of_a_grid(NOW), report(**{"safe": 3, "lost": 1, "at risk": 2}))
    assert (view.level, view.headline) == ("bad", "Some files can't be given back")
    assert view.care == "6 objects looked after; 1 of them can't be recovered."
    assert [alarm.level for alarm in view.alarms] == ["bad", "warn"]
    assert "1 file or folder can't be recovered" in view.alarms[0].text
    assert "2 files or folders have fewer shares than they should" in view.alarms[1].text


def test_old_news_liars_and_troubles_are_told():
    health = report(safe=1)
    health["roots"][0] |= {"verified-age": 30 * DAY, "trouble": "some directories could not be read"}
    health["last-round-age"] = 20 * DAY
    health["servers"]["distrusted"] = 1
    texts = [text for _, text in alarms(health)]
    assert texts == [
        "private: some directories could not be read.",
        "1 server lied about what they hold; nothing they claim counts.",
        "private: all of it was last seen alive 30 days ago.",
        "The caretaker has not been able to work for 20 days.",
    ]


# --- jobs --------------------------------------------------------------------------------------------------


def job(kind: str, state: str = "done", **more):
    told = {"id": "j", "kind": kind, "state": state, "progress": {}, "began": NOW, "ended": NOW + 3, "result": None}
    return work(told | more, None, NOW + 9)


def results(good: int, *, healthy: bool, recoverable: bool = True):
    return {
        "healthy": healthy, "recoverable": recoverable, "count-shares-good": good, "count-shares-expected": 10,
        "count-good-share-hosts": good, "count-shares-needed": 3, "count-corrupt-shares": 0,
    }  # fmt: skip


def test_a_running_job_tells_how_far_it_is():
    view = job("verify", "running", progress={"done": 250, "total": 1000}, ended=None)
    assert (view.percent, view.progress, view.seconds, view.verdict) == (25.0, "250 bytes of 1 kB", 9.0, None)
    assert job("deep-check", "running", progress={"count-objects-checked": 3}, ended=None).progress == "3 objects"


@pytest.mark.parametrize(
    ("kind", "more", "level", "words"),
    [
        ("check", {"results": results(10, healthy=True)}, "good", "10 of 10 shares are good on 10 servers, any 3 suffice"),
        ("check", {"results": results(4, healthy=False)}, "warn", "4 of 10"),
        ("check", {"results": results(2, healthy=False, recoverable=False)}, "bad", "can't be recovered"),
        ("check", {"results": {"healthy": True}}, "good", "nothing that could be lost"),
        (
            "repair",
            {
                "results": results(4, healthy=False), "post-repair-results": results(10, healthy=True),
                "repair-attempted": True, "repair-successful": True,
            },
            "good", "Repaired. 10 of 10",
        ),
        (
            "repair",
            {
                "results": results(4, healthy=False), "post-repair-results": results(4, healthy=False),
                "repair-attempted": True, "repair-successful": False, "repair-trouble": "no room",
            },
            "warn", "The repair did not succeed: no room.",
        ),
        ("deep-check", {"problems": [], "count-objects-checked": 3}, "good", "All is healthy: 3 objects"),
        ("deep-check", {"problems": [], "count-objects-unhealthy": 1, "count-objects-checked": 3}, "warn", "1 of 3 objects"),
        ("deep-check", {"problems": [], "count-objects-unrecoverable": 1}, "bad", "1 object can't be recovered"),
        ("deep-check", {"problems": [], "count-directories-unreadable": 2}, "bad", "2 folders could not be read"),
        ("care", {"state": "red"}, "bad", "looked at"),
        ("deep-size", {"size": 7}, "good", "It is done."),
        ("manifest", [{"path": []}], "good", "It is done."),
    ],
)  # fmt: skip
def test_what_a_job_came_to_is_told_in_words(kind, more, level, words):
    view = job(kind, result=more)
    assert view.verdict[0] == level
    assert words in view.verdict[1]


def test_a_job_that_failed_says_why():
    assert job("check", "failed", error="no server answers").verdict == ("bad", "no server answers")
    assert job("check", "cancelled").verdict is None


# --- in a browser ------------------------------------------------------------------------------------------

CONTENT = Random(1).randbytes(40_000)


def finished(page) -> None:
    """Wait until the job of a page has ended."""
    expect(page.get_by_role("heading", name="done", exact=True)).to_be_visible()


def look_now(page, site) -> None:
    """Have everything looked at, and see what came of it."""
    page.goto(site.url("/health"))
    page.get_by_role("button", name="Look now").click()
    finished(page)
    page.goto(site.url("/health"))


def test_from_a_loss_to_a_repair_all_is_seen_on_the_pages(profile, site, home):
    safe = site.ask("PUT", f"/vdrive/private/{home}/safe.bin", CONTENT)
    lost = site.ask("PUT", f"/vdrive/private/{home}/lost.bin", CONTENT + b"2")
    page = profile.page("/health")
    expect(page.get_by_role("heading", name="Not looked at yet")).to_be_visible()
    look_now(page, site)
    expect(page.get_by_role("heading", name="All is safe")).to_be_visible()
    lose(site, safe, 0, 1)
    lose(site, lost, 0, 1, 2)
    look_now(page, site)
    expect(page.get_by_role("heading", name="Something is lost")).to_be_visible()
    danger = page.locator("section", has=page.get_by_role("heading", name="In danger"))
    expect(danger.get_by_role("row")).to_have_count(2)
    expect(danger).to_contain_text("1 of 4 in reach; needs 2")
    picture(page, "health-lost")
    assert Axe().run(page).response["violations"] == []
    danger.get_by_role("link", name=f"{home}/lost.bin").click()
    expect(page.get_by_text("Only 1 of 4 shares are in reach")).to_be_visible()
    assert page.url.startswith(site.url(f"/drive/private/{home}/lost.bin"))
    page.go_back()
    danger.get_by_role("link", name="Where the shares").click()
    expect(page.get_by_text("Only 1 of 4 shares are in reach")).to_be_visible()
    page.goto(site.url("/"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Some files can't be given back")
    expect(page.get_by_text("1 file or folder can't be recovered")).to_be_visible()
    picture(page, "welcome-lost")
    page.goto(site.url("/health"))
    page.get_by_role("button", name="Check Private drive").click()
    finished(page)
    expect(page.get_by_text("1 object can't be recovered.")).to_be_visible()
    expect(page.get_by_role("rowheader", name=f"{home}/lost.bin")).to_be_visible()
    picture(page, "job")
    assert Axe().run(page).response["violations"] == []
    site.ask("PUT", f"/vdrive/private/{home}/lost.bin", CONTENT + b"2")
    look_now(page, site)
    expect(page.get_by_role("link", name="Check of Private drive")).to_be_visible()
    expect(page.get_by_role("heading", name="All is safe")).to_be_visible()
    expect(page.get_by_role("definition").first).to_be_visible()


def test_a_file_is_checked_verified_and_repaired_without_a_script(without_script, site, home):
    cap = site.ask("PUT", f"/vdrive/private/{home}/file.bin", CONTENT + b"3")
    lose(site, cap, 2)
    page = without_script.page(f"/drive/private/{home}/file.bin?about")
    for button, words in (("Check", "3 of 4"), ("Verify", "3 of 4"), ("Repair", "Repaired. 4 of 4")):
        page.get_by_role("button", name=button).click()
        while page.get_by_role("button", name="Stop").count():
            page.reload()
        expect(page.get_by_text(f"{words} shares are good")).to_be_visible()
        page.get_by_role("link", name="file.bin").click()
    expect(page.get_by_text("All 4 shares are there")).to_be_visible()


def test_what_is_looked_after_is_added_published_and_removed(profile, site, home):
    cap = site.ask("PUT", f"/vdrive/private/{home}/letter.bin", CONTENT + b"4")
    page = profile.page("/health")
    page.get_by_label("Name", exact=True).fill("a letter")
    page.get_by_label("Capability").fill(cap)
    page.get_by_role("button", name="Look after it").click()
    page.locator("summary", has_text="a letter").click()
    page.get_by_role("button", name="Publish a letter").click()
    page.locator("summary", has_text="a letter").click()
    expect(page.locator("details code", has_text="URI:SLOT-RO:")).to_be_visible()
    page.get_by_role("button", name="Look after a letter no more").click()
    expect(page.locator("summary", has_text="a letter")).to_have_count(0)
    page.get_by_label("Name", exact=True).fill("nonsense")
    page.get_by_label("Capability").fill("URI:CHK:nonsense")
    page.get_by_role("button", name="Look after it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Bad Request")


def test_a_server_is_said_to_be_gone_and_back(profile):
    page = profile.page("/health")
    page.get_by_role("button", name="server1 is gone for good").click()
    expect(page.get_by_role("row").filter(has_text="server1")).to_contain_text("gone")
    page.get_by_role("button", name="server1 is back").click()
    expect(page.get_by_role("button", name="server1 is gone for good")).to_be_visible()


def test_forms_of_another_site_or_another_version_change_nothing(site, profile):
    status, _, _ = site.request("POST", "/health?look", b"", token=None, Accept="text/html")
    assert status == 401
    page = profile.page("/health")
    for path in ("/health?dance", "/health?treat", "/job/nothing"):
        answer = page.evaluate("(path) => fetch(path, { method: 'POST', body: '' }).then((a) => a.status)", path)
        assert answer in {400, 404}, path


def test_a_node_without_a_caretaker_says_how_to_get_one(browser, site):
    caretaker = site.services.caretaker
    object.__setattr__(site.services, "caretaker", None)
    try:
        with profile_of(browser, site) as profile:
            expect(profile.page("/health").get_by_text("enabled = true")).to_be_visible()
    finally:
        object.__setattr__(site.services, "caretaker", caretaker)
