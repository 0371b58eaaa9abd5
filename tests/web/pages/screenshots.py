"""Pictures of the pages for the README, taken of a real grid of ten servers: ``make screenshots``."""

from __future__ import annotations

import json
import math
import shutil
import struct
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tahoe.cli.gateway import Gateway
from tahoe.cli.local_grid import GridPlan, LocalGrid
from tahoe.protocol import Encoding

FIGURES = Path(__file__).resolve().parents[3] / "docs" / "figures"
SERVERS = 10
DESKTOP = {"width": 1180, "height": 760}
PHONE = {"width": 390, "height": 780}
LETTER = b"# Dear friends\n\nThe cabin is open from Friday on. Bring boots and bread.\n"

SHOTS = (
    ("page-welcome", "/", "light", {"width": 1180, "height": 1060}),
    ("page-welcome-dark", "/", "dark", {"width": 1180, "height": 1060}),
    ("page-folder", "/drive/private/Lake%202026", "light", DESKTOP),
    ("page-file", "/drive/private/Lake%202026/morning.png?about&shares", "light", {"width": 1180, "height": 1420}),
    ("page-health", "/health", "light", {"width": 1180, "height": 1060}),
    ("page-provisioning", "/provisioning", "dark", {"width": 1180, "height": 1900}),
    ("page-phone", "/drive/private/Lake%202026", "light", PHONE),
)


def lake(width: int, height: int, hour: float) -> bytes:
    """Draw a lake below mountains at some hour of the day, as a PNG."""
    shore = height * 0.55
    ridge = [
        shore - height * (0.16 + 0.09 * math.sin(x / width * 9 + hour) + 0.05 * math.sin(x / width * 23) + 0.012 * math.sin(x / 7))
        for x in range(width)
    ]  # fmt: skip

    def colour(x: int, y: float) -> tuple[int, int, int]:
        if y > shore:
            red, green, blue = colour(x, min(shore, max(0.0, 2 * shore - y - 6 * math.sin(y / 3 + x / 40))))
            return red * 7 // 10, green * 8 // 10 + 18, blue * 8 // 10 + 26
        if y > ridge[x]:
            depth = (y - ridge[x]) / height
            return int(44 + 90 * depth), int(74 + 120 * depth), int(88 + 60 * depth)
        light = y / shore
        return int(120 + 120 * light * (0.5 + hour / 12)), int(160 + 55 * light), int(205 - 25 * light * hour / 6)

    rows = b"".join(b"\0" + bytes(part for x in range(width) for part in colour(x, y)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@contextmanager
def grid_with_files() -> Iterator[Gateway]:
    """Run a grid and put files into it."""
    root = Path(tempfile.mkdtemp(prefix="tahoe-pictures-"))
    try:
        with LocalGrid(GridPlan(root, SERVERS, Encoding(3, 7, 10), "embedded", 0)) as grid:
            grid.make_nodes(grid.start_broker())
            grid.start_nodes()
            grid.publish_global()
            gateway = Gateway(grid.client)
            folder = "/vdrive/private/Lake%202026"
            files = {
                f"{name}.png": lake(900, 560, hour) for name, hour in (("morning", 1), ("noon", 3), ("evening", 6))
            }
            files |= {"invitation.md": LETTER, "route.pdf": LETTER * 900, "loons at dawn.mp3": bytes(3_200_000)}
            files |= {"Films/crossing.mp4": bytes(range(256)) * 60_000, "Older/2025.txt": LETTER}
            for name, content in files.items():
                gateway.request("PUT", f"{folder}/{name.replace(' ', '%20')}", content).read()
            gateway.request("POST", "/care?t=start-round").read()
            while json.loads(gateway.request("GET", "/jobs").read())["jobs"][0]["state"] == "running":
                time.sleep(0.1)
            yield gateway
    finally:
        shutil.rmtree(root, ignore_errors=True)


def take(browser: Browser, gateway: Gateway) -> None:
    """Take all pictures."""
    for name, path, scheme, window in SHOTS:
        context = browser.new_context(color_scheme=scheme, viewport=window, device_scale_factor=1)
        page = context.new_page()
        page.goto(json.loads(gateway.request("POST", "/session").read())["url"])
        page.goto("/".join(page.url.split("/")[:3]) + path)
        page.screenshot(path=FIGURES / f"{name}.png")
        context.close()
    context = browser.new_context(color_scheme="light", viewport=DESKTOP)
    page = context.new_page()
    page.goto(json.loads(gateway.request("POST", "/session").read())["url"])
    page.goto("/".join(page.url.split("/")[:3]) + "/transfers")
    page.get_by_role("link", name="crossing.mp4").click()
    page.screenshot(path=FIGURES / "page-transfer.png")
    context.close()


def main() -> None:
    """Take the pictures."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    with grid_with_files() as gateway, sync_playwright() as driver:
        program = shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        take(browser, gateway)
        browser.close()
    for picture in sorted(FIGURES.glob("page-*.png")):
        print(f"{picture.relative_to(FIGURES.parents[1])}: {picture.stat().st_size // 1000} kB")  # noqa: T201  # what it made


if __name__ == "__main__":
    main()
