"""What people do with files, in a real browser: drop, open, rename, move, share, download; without a script, without a mouse."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

from playwright.sync_api import expect

from tests.web.pages.conftest import picture, profile_of

DROP = """async ([files]) => {
  const transfer = new DataTransfer();
  for (const [name, text] of files) transfer.items.add(new File([text], name));
  const area = document.querySelector("[data-upload]");
  for (const kind of ["dragenter", "dragover", "drop"])
    area.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def drop(page, **files: str) -> None:
    """Drop files on a folder's page, as a hand would."""
    page.evaluate(DROP, [[(name.replace("_", "."), text) for name, text in files.items()]])


def rows(page) -> list[str]:
    return page.locator("table.listing tbody a.entry").all_inner_texts()


def test_dropped_files_are_stored_with_progress(profile, site, home):
    page = profile.page(f"/drive/private/{home}")
    seen = []
    page.expose_function("seen", lambda text: seen.append(text))  # noqa: PLW0108  # the driver marks what it is given
    page.evaluate(
        """() => new MutationObserver(() => window.seen(document.querySelector(".queue").innerText))
             .observe(document.querySelector(".queue"), { childList: true, subtree: true, characterData: true })"""
    )
    # Sending is slowed down, so that there is something to see between nothing and all.
    shaper = profile.context.new_cdp_session(page)
    shaper.send("Network.enable")
    speed = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}
    shaper.send("Network.emulateNetworkConditions", speed)
    drop(page, one_txt="x" * 200_000, two_md="# Two\n")
    expect(page.locator("table.listing tbody tr")).to_have_count(2, timeout=20_000)
    assert rows(page) == ["one.txt", "two.md"]
    told = "\n".join(seen)
    assert re.search(r"\d+(\.\d+)? kB of 200 kB", told), told
    assert site.ask("GET", f"/vdrive/private/{home}/two.md") == "# Two"


def test_a_chosen_folder_arrives_with_its_folders(profile, site, home, tmp_path):
    for path in ("album/a.txt", "album/deep/b.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    page = profile.page(f"/drive/private/{home}")
    page.locator("[data-folder]").set_input_files(tmp_path / "album")
    expect(page.locator("table.listing tbody tr")).to_have_count(1, timeout=20_000)
    assert site.ask("GET", f"/vdrive/private/{home}/album/deep/b.txt") == "album/deep/b.txt"


def test_what_could_not_be_stored_says_so_and_stays(profile, site, home):
    page = profile.page(f"/drive/private/{home}")
    site.ask("POST", f"/vdrive/private?t=unlink&name={home}", b"")
    site.ask("PUT", f"/vdrive/private/{home}", b"a file in its place")
    drop(page, lost_txt="nowhere to go")
    failed = page.locator(".queue li.failed .state")
    expect(failed).to_contain_text("is a file")
    expect(page.locator("[data-said]")).to_contain_text("1 of 1 files could not be stored")


def test_a_file_is_opened_renamed_moved_and_removed(profile, site, home):
    site.ask("PUT", f"/vdrive/private/{home}/notes.txt", b"the lake is calm today")
    page = profile.page(f"/drive/private/{home}")
    page.get_by_role("link", name="notes.txt", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("notes.txt")
    expect(page.locator(".preview pre")).to_have_text("the lake is calm today")
    page.get_by_label("Name", exact=True).fill("diary.txt")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("diary.txt")
    site.ask("POST", f"/vdrive/private/{home}?t=mkdir&name=old", b"")
    page.get_by_label("Folder, as a path").fill(f"{home}/old")
    page.get_by_role("button", name="Move").click()
    expect(page.locator(".note")).to_contain_text("moved")
    assert site.ask("GET", f"/vdrive/private/{home}/old/diary.txt") == "the lake is calm today"
    page.get_by_text("Remove it from the folder").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("This folder is empty.")).to_be_visible()


def test_several_things_are_moved_and_removed_at_once(profile, site, home):
    for name in ("a", "b", "c"):
        site.ask("PUT", f"/vdrive/private/{home}/{name}", name.encode())
    site.ask("POST", f"/vdrive/private/{home}?t=mkdir&name=box", b"")
    page = profile.page(f"/drive/private/{home}")
    expect(page.locator(".chosen")).to_be_hidden()
    page.get_by_label("Choose a", exact=True).check()
    page.get_by_label("Choose b", exact=True).check()
    page.get_by_label("Move what is chosen").fill(f"{home}/box")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("box")
    assert rows(page) == ["a", "b"]
    page.get_by_label("Choose a", exact=True).check()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("table.listing tbody tr")).to_have_count(1)
    assert rows(page) == ["b"]


def test_a_friend_opens_a_shared_folder_and_can_only_read(profile, browser, site, home):
    site.ask("PUT", f"/vdrive/private/{home}/pictures/lake.txt", b"blue")
    page = profile.page(f"/drive/private/{home}/pictures")
    page.get_by_role("link", name="Share and manage").click()
    page.get_by_text("Show the capability to read", exact=True).click()
    cap = page.locator("#power-read").inner_text()
    assert cap.startswith("URI:DIR3-RO:")
    expect(page.get_by_role("img", name="QR code of the capability to read", exact=True)).to_be_visible()
    picture(page, "share")
    with profile_of(browser, site) as friend:
        theirs = friend.page()
        theirs.get_by_label("Capability somebody gave you").fill(cap)
        theirs.get_by_role("button", name="Open", exact=True).click()
        assert re.fullmatch(rf"http://{site.host}/d/[\w-]{{20,}}", theirs.url)
        expect(theirs.get_by_text("read only")).to_be_visible()
        assert rows(theirs) == ["lake.txt"]
        assert theirs.locator("input, [data-upload], button").count() == 0
        theirs.get_by_role("link", name="lake.txt", exact=True).click()
        expect(theirs.locator(".preview pre")).to_have_text("blue")
        assert theirs.get_by_role("button", name="Rename").count() == 0
        handle = theirs.url
        assert friend.context.cookies()[0]["httpOnly"]
    with profile_of(browser, site) as stranger:
        # A handle is worth nothing to anybody else.
        other = stranger.context.new_page()
        assert other.goto(handle).status == 410
        expect(other.get_by_text("earlier session")).to_be_visible()


def test_copying_a_capability_puts_it_on_the_clipboard(profile, site, home):
    site.ask("PUT", f"/vdrive/private/{home}/a.txt", b"a")
    profile.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = profile.page(f"/drive/private/{home}?about")
    page.get_by_text("Show the capability to read", exact=True).click()
    page.locator('[data-copy="power-read"]').click()
    expect(page.locator('[data-copy="power-read"]')).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#power-read").inner_text()


def test_files_and_folders_are_downloaded(profile, site, home):
    site.ask(
        "PUT",
        f"/vdrive/private/{home}/Grüße aus Tahoe.txt".replace(" ", "%20").replace("ü", "%C3%BC").replace("ß", "%C3%9F"),
        b"hello",
    )
    page = profile.page(f"/drive/private/{home}")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download as zip").click()
    archive = zipfile.ZipFile(io.BytesIO(Path(waiting.value.path()).read_bytes()))
    assert archive.namelist() == ["Grüße aus Tahoe.txt"]
    page.get_by_role("link", name="Grüße aus Tahoe.txt", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download", exact=True).click()
    assert waiting.value.suggested_filename == "Grüße aus Tahoe.txt"
    assert Path(waiting.value.path()).read_bytes() == b"hello"


def test_a_list_sorts_by_its_columns(profile, site, home):
    for name, size in (("photo 10", 10), ("photo 9", 90_000), ("Album", 60)):
        site.ask("PUT", f"/vdrive/private/{home}/{name.replace(' ', '%20')}", b"x" * size)
    site.ask("POST", f"/vdrive/private/{home}?t=mkdir&name=zoo", b"")
    page = profile.page(f"/drive/private/{home}")
    assert rows(page) == ["zoo", "Album", "photo 9", "photo 10"]
    page.get_by_role("link", name="Size").click()
    assert rows(page) == ["zoo", "photo 10", "Album", "photo 9"]
    page.get_by_role("link", name="Size").click()
    assert rows(page) == ["zoo", "photo 9", "Album", "photo 10"]
    expect(page.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")


def test_of_ten_thousand_entries_only_those_in_sight_are_laid_out(profile, site, home):
    children = {f"photo {number:05}": ["filenode", {"ro_uri": "URI:LIT:me"}] for number in range(10_000)}
    site.ask("POST", f"/vdrive/private/{home}?t=set_children", json.dumps(children).encode())
    page = profile.page(f"/drive/private/{home}")
    expect(page.locator("table.listing tbody tr")).to_have_count(10_000)
    is_drawn = (
        "(name) => document.querySelector(`input[value='${name}']`).checkVisibility({ contentVisibilityAuto: true })"
    )
    assert page.evaluate(is_drawn, "photo 00000")
    assert not page.evaluate(is_drawn, "photo 09999")
    page.keyboard.press("End")
    page.wait_for_function(f"() => ({is_drawn})('photo 09999')")
    assert not page.evaluate(is_drawn, "photo 05000")


def test_everything_needed_works_without_a_script(without_script, site, home, tmp_path):
    page = without_script.page("/")
    page.get_by_role("link", name="Private drive Only you can reach it.").click()
    page.get_by_role("link", name=home, exact=True).click()
    page.get_by_label("New folder").fill("inbox")
    page.get_by_role("button", name="Make folder").click()
    expect(page.get_by_text("The folder is made.")).to_be_visible()
    page.get_by_role("link", name="inbox", exact=True).click()
    (tmp_path / "letter.txt").write_text("dear friend")
    page.get_by_label("Upload files").set_input_files(tmp_path / "letter.txt")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_text("Everything is stored.")).to_be_visible()
    page.get_by_role("link", name="More about letter.txt").click()
    page.get_by_label("Name", exact=True).fill("answer.txt")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("answer.txt")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download", exact=True).click()
    assert Path(waiting.value.path()).read_text() == "dear friend"
    page.get_by_text("Remove it from the folder").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("This folder is empty.")).to_be_visible()
    assert page.locator("[data-script]:visible").count() == 0


def test_a_file_without_a_folder_is_stored_and_its_capability_shown(without_script, site, tmp_path):
    (tmp_path / "loose.txt").write_text("tied to nothing, and longer than a literal can be, by some words")
    page = without_script.page("/")
    page.get_by_label("File", exact=True).set_input_files(tmp_path / "loose.txt")
    page.get_by_role("button", name="Store").click()
    cap = page.locator("#power-read").inner_text()
    assert site.ask("GET", f"/uri/{cap}").startswith("tied to nothing")


def test_a_folder_is_made_with_the_keyboard_alone(profile, site, home):
    page = profile.page("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "Private drive Only you")
    page.keyboard.press("Enter")
    page.wait_for_url("**/drive/private")
    tab_to(page, home)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/drive/private/{home}")
    tab_to(page, "New folder")
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The folder is made.")).to_be_visible()
    assert rows(page) == ["by keys"]


def tab_to(page, label: str) -> None:
    """Press Tab until something with this label has the focus, and can be seen to have it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        told, outline = page.evaluate(
            """() => { const e = document.activeElement;
                 return [(e.labels && e.labels[0] ? e.labels[0].innerText : e.innerText || "").replace(/\\s+/g, " ").trim(),
                         getComputedStyle(e).outlineStyle]; }"""
        )
        assert outline != "none" or told == "", f"the focus on {told!r} can't be seen"
        if told.startswith(label):
            return
    raise AssertionError(f"Tab never comes to {label!r}")
