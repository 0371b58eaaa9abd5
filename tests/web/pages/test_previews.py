"""Previews in a real browser: each kind is shown, and comes in a sandbox in which it can do nothing."""

from __future__ import annotations

import base64
import io
import json
import math
import struct
import wave

from playwright.sync_api import expect

from tests.web.pages.conftest import picture, profile_of
from tests.web.pages.test_safety import PIXEL

RECORD = """() => new Promise((done) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const brush = canvas.getContext("2d");
  const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: "video/webm" });
  let strokes = 0;
  const painting = setInterval(() => {
    brush.fillStyle = `rgb(0 ${(strokes * 9) % 256} 99)`;
    brush.fillRect(0, 0, 64, 64);
    strokes += 1;
    if (strokes === 25) recorder.stop();
  }, 20);
  recorder.ondataavailable = async (event) => {
    clearInterval(painting);
    const bytes = new Uint8Array(await event.data.arrayBuffer());
    done(btoa(String.fromCharCode(...bytes)));
  };
  recorder.start();
})"""
"""Makes a film of twenty-five strokes of a brush."""


def pdf(text: str, script: str = "") -> bytes:
    """A PDF of one page with a line on it, and a script that it wants to be run when it is opened."""
    drawn = f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = (
        b"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(%s)>>>>" % script.encode(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    written, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 6\n0000000000 65535 f \n" + table
    return written + head + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(written)


def tone(seconds: float) -> bytes:
    """A WAV file of a humming."""
    rate = 8000
    sound = b"".join(struct.pack("<h", int(9000 * math.sin(n / 6))) for n in range(int(seconds * rate)))
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, rate, 0, "NONE", ""))
        writer.writeframes(sound)
    return file.getvalue()


def show(profile, site, home: str, name: str, content: bytes):
    """Store a file and open its page; what is sent of it has to be shut in."""
    site.ask("PUT", f"/vdrive/private/{home}/{name}", content)
    _, headers, _ = site.request("GET", f"/vdrive/private/{home}/{name}")
    assert headers["Content-Security-Policy"] == "sandbox"
    assert headers["X-Content-Type-Options"] == "nosniff"
    return profile.page(f"/drive/private/{home}/{name}")


def test_a_picture_is_shown(profile, site, home):
    page = show(profile, site, home, "a.png", PIXEL)
    assert page.locator(".preview img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 1


def test_a_sound_can_be_played_from_any_place_in_it(profile, site, home):
    page = show(profile, site, home, "hum.wav", tone(30))
    player = page.locator(".preview audio")
    page.wait_for_function("() => document.querySelector('audio').readyState >= 1")
    assert player.evaluate("(audio) => audio.duration") == 30
    player.evaluate("(audio) => new Promise((done) => { audio.onseeked = done; audio.currentTime = 25; })")
    assert player.evaluate("(audio) => audio.error") is None


def test_a_film_can_be_played(profile, site, home):
    film = base64.b64decode(profile.page("/").evaluate(RECORD))
    page = show(profile, site, home, "film.webm", film)
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    assert page.locator(".preview video").evaluate("(video) => video.videoWidth") == 64


def test_a_pdf_is_shown_by_the_browsers_own_viewer_in_the_sandbox(profile, site, home):
    page = show(profile, site, home, "lake.pdf", pdf("The lake is calm"))
    expect(viewer_in(page).locator("#pageSelector, viewer-page-selector").first).to_be_attached()
    picture(page, "pdf")


def viewer_in(page):
    """The frame of the browser's viewer, as soon as it is there: a page of the browser's own, in its own process."""
    assert page.evaluate("navigator.pdfViewerEnabled"), "this chromium has no viewer of PDFs"
    while not (viewers := [frame for frame in page.frames if frame.url.startswith("chrome-extension://")]):
        page.wait_for_event("framenavigated")
    return viewers[0]


def test_a_pdf_with_a_script_reaches_nothing(profile, site, home):
    target = site.url(f"/drive/private/{home}?mkdir")
    script = (
        f"this.submitForm\\({{cURL: '{target}', cSubmitAs: 'HTML'}}\\); app.launchURL\\('{site.url('/status')}'\\);"
    )
    page = show(profile, site, home, "evil.pdf", pdf("Look away", script))
    expect(viewer_in(page).locator("#pageSelector, viewer-page-selector").first).to_be_attached()
    page.reload()
    viewer_in(page)
    assert not [url for url in profile.asked if url == site.url("/status")]
    children = json.loads(site.ask("GET", f"/vdrive/private/{home}?t=json"))[1]["children"]
    assert list(children) == ["evil.pdf"]


def test_a_browser_without_a_viewer_says_so_and_saves_nothing_unasked(browser, site, home):
    site.ask("PUT", f"/vdrive/private/{home}/lake.pdf", pdf("The lake is calm"))
    with profile_of(browser, site) as profile:
        profile.context.add_init_script("Object.defineProperty(navigator, 'pdfViewerEnabled', { value: false })")
        page = profile.page(f"/drive/private/{home}/lake.pdf")
        expect(page.get_by_text("This browser shows no PDFs on a page.")).to_be_visible()
        assert not [url for url in profile.asked if "?raw" in url]
        with page.expect_download():
            page.get_by_role("link", name="Download", exact=True).click()


def test_without_a_script_a_pdf_is_shown_too(without_script, site, home):
    page = show(without_script, site, home, "lake.pdf", pdf("The lake is calm"))
    expect(page.locator(".preview iframe")).to_be_visible()
