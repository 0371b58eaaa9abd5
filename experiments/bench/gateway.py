"""What the gateway takes with ``curl``, a page of ten thousand entries, and a hundred slow readers at once.

``python -m experiments.bench.gateway`` (``make gateway``) measures our grid with the program that people use, by its own
clock (``time_total``), some rounds of everything, and writes docs/gateway.md. The best round counts: whatever else the
machine does makes a figure worse and never better. That all of it goes through the gateway is true of the other figures
(docs/benchmarks.md), too; here are those that need a page, a curl, or many readers.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlencode, urlsplit

import click
from playwright.sync_api import Browser, Playwright, sync_playwright

from experiments.bench.load import MEGABYTE, SMALL, Grid, Size, Work, peak_memory, processor_seconds
from experiments.bench.ours import OurGrid
from tahoe import __version__

ENTRIES: Final = 10_000
READERS: Final = 100
SLOW: Final = "100k"
"""What each slow reader takes a second, in bytes, as curl has it."""
WATCH: Final = """
    window.longest = 0;
    new PerformanceObserver((list) => {
        for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
    }).observe({ type: "longtask", buffered: true });
"""
QUIET: Final = 0.1
"""Seconds of processor time in a second: with less the gateway does nothing but serve slow readers."""
TIMES: Final = 20
"""Of what takes milliseconds; the median counts."""


class Target(NamedTuple):
    """What a figure must not exceed."""

    most: float
    about: str


TARGETS: Final[Mapping[str, Target]] = {
    "page of 10,000 entries, ms": Target(1000, "under a second"),
    "10 kB get beside 100 slow readers, ms": Target(100, "within 100 ms"),
}


class GatewayWork(Work):
    """One round."""

    def __init__(self, grid: Grid, folder: Path, megabytes: int) -> None:
        super().__init__(grid, Size(megabytes=megabytes), lambda: None)
        self._folder = folder

    def _steps(self) -> tuple[Callable[[], None], ...]:
        return (self._with_curl, self._page, self._slow_readers)

    # --- steps ------------------------------------------------------------------------------------------------

    def _with_curl(self) -> None:
        """Files and names, as somebody does who has read docs/api.md."""
        large = self._file(self._size.megabytes * MEGABYTE)
        cap = self._curl("-T", large, "/uri").text
        self.figures["upload, MB/s"] = (
            self._size.megabytes / self._curl("-T", self._file(large.stat().st_size), "/uri").seconds
        )
        self.figures["download, MB/s"] = self._size.megabytes / self._curl("-o", os.devnull, f"/uri/{cap}").seconds
        self._median(
            "100-byte range, ms", lambda number: ("-r", f"{number * 1000}-{number * 1000 + 99}", f"/uri/{cap}")
        )
        caps = self._median("10 kB put, ms", lambda _: ("-T", self._file(SMALL), "/uri"))
        self._median("10 kB get, ms", lambda number: (f"/uri/{caps[number]}",))
        directory = self._median("make a directory, ms", lambda _: ("-X", "POST", "/uri?t=mkdir"))[0]
        self._median("store in a directory, ms", lambda number: ("-T", self._file(SMALL), f"/uri/{directory}/{number}"))
        self._median("list it, ms", lambda _: (f"/uri/{directory}?t=json",))

    def _page(self) -> None:
        """A folder's page as a browser gets it, from the request to its last byte."""
        cap = self._store(os.urandom(1000))
        children = {f"photo {number:05}.jpg": ["filenode", {"ro_uri": cap}] for number in range(ENTRIES)}
        directory = self._call("POST", "/uri?t=mkdir-with-children", json.dumps(children).encode()).decode().strip()
        host, cookie = self._enter()
        address = self._visit("POST", "/open", host, cookie, urlencode({"cap": directory})).location
        found = [self._visit("GET", address, host, cookie) for _ in range(7)]
        assert all(each.body.count(b'class="entry ') == ENTRIES for each in found)
        self.figures["page of 10,000 entries, ms"] = 1000 * statistics.median(each.seconds for each in found)
        self.figures["its size, MB"] = len(found[0].body) / MEGABYTE
        self._in_a_browser(directory)

    def _in_a_browser(self, directory: str) -> None:
        """The same page in chromium: until it can be used, and the longest that the browser does nothing else meanwhile."""
        with sync_playwright() as driver, _chromium(driver) as browser:
            page = browser.new_page()
            page.add_init_script(WATCH)
            page.goto(json.loads(self._call("POST", "/session"))["url"])
            page.get_by_label("Capability somebody gave you").fill(directory)
            page.get_by_role("button", name="Open", exact=True).click()
            page.wait_for_function("() => document.readyState === 'complete' && document.title.startsWith('Opened')")
            assert page.locator("table.listing tbody tr").count() == ENTRIES
            complete, longest = page.evaluate(
                "() => [performance.timing.loadEventEnd - performance.timing.requestStart, window.longest]"
            )
        self.figures["that page in chromium, until it is complete, ms"] = complete
        self.figures["the longest that chromium does nothing else, ms"] = longest

    def _slow_readers(self) -> None:
        """Small files that were never read before, alone and while others read a large one slowly."""
        cap = self._curl("-T", self._file(100 * MEGABYTE), "/uri").text
        fresh = [self._store(os.urandom(SMALL)) for _ in range(3 * TIMES)]
        self._median("10 kB get alone, ms", lambda number: (f"/uri/{fresh[number]}",))
        with self._readers(cap):
            self._median("10 kB get while they begin, ms", lambda number: (f"/uri/{fresh[TIMES + number]}",))
            self._settle()
            self._median("10 kB get beside 100 slow readers, ms", lambda number: (f"/uri/{fresh[2 * TIMES + number]}",))
        (client,) = self._grid.processes()["client"]
        self.figures["peak memory of the client, MB"] = peak_memory(client) / MEGABYTE

    def _settle(self) -> None:
        """Wait until the readers' buffers are full: from then on the gateway fetches what they take, and no more."""
        (client,) = self._grid.processes()["client"]
        before = -1.0
        while processor_seconds(client) - before > QUIET:
            before = processor_seconds(client)
            time.sleep(1)

    # --- curl -------------------------------------------------------------------------------------------------

    def _curl(self, *arguments: str | Path) -> Curled:
        *options, path = arguments
        command = [
            "curl",
            "-sS",
            "--fail-with-body",
            "-H",
            self._authority,
            "-w",
            "%{stderr}%{time_total}",
            *map(str, options),
        ]
        host, port = self._grid.address
        done = subprocess.run([*command, f"http://{host}:{port}{path}"], capture_output=True, check=True)  # noqa: S603  # our own words
        return Curled(done.stdout.decode("latin-1").strip(), float(done.stderr))

    def _median(self, figure: str, words: Callable[[int], tuple[str | Path, ...]]) -> list[str]:
        """Note the median of some requests, in milliseconds; their answers."""
        found = [self._curl(*words(number)) for number in range(TIMES)]
        self.figures[figure] = 1000 * statistics.median(each.seconds for each in found)
        return [each.text for each in found]

    @contextmanager
    def _readers(self, cap: str) -> Iterator[None]:
        """So many of them, each with a part of the file by now."""
        host, port = self._grid.address
        command = ["curl", "-sS", "--limit-rate", SLOW, "-o"]
        outputs = [self._folder / f"reader-{number}" for number in range(READERS)]
        readers = [subprocess.Popen([*command, output, f"http://{host}:{port}/uri/{cap}"]) for output in outputs]  # noqa: S603  # our own words
        try:
            while not all(output.exists() and output.stat().st_size for output in outputs):
                time.sleep(0.1)
            yield
            assert all(reader.poll() is None for reader in readers), "the readers were not slow enough"
        finally:
            for reader in readers:
                reader.kill()
                reader.wait()
            for output in outputs:
                output.unlink(missing_ok=True)

    @property
    def _authority(self) -> str:
        return f"Authorization: {self._grid.headers['Authorization']}"

    def _file(self, size: int) -> Path:
        """A file with fresh contents, in place of the one before it."""
        file = self._folder / f"file-{size}"
        file.write_bytes(os.urandom(size))
        return file

    # --- a browser --------------------------------------------------------------------------------------------

    def _enter(self) -> tuple[str, str]:
        """Be let in as a browser is; the host name to call and the cookie to show."""
        url = urlsplit(json.loads(self._call("POST", "/session"))["url"])
        cookie = self._visit("GET", f"{url.path}?{url.query}", url.netloc, "").cookie
        return url.netloc, cookie

    def _visit(self, method: str, path: str, host: str, cookie: str, form: str = "") -> Visited:
        connection = http.client.HTTPConnection(*self._grid.address, timeout=60)
        headers = {
            "Host": host,
            "Cookie": cookie,
            "Accept": "text/html",
            "Origin": f"http://{host}",
            "Sec-Fetch-Site": "same-origin",
        }
        began = time.perf_counter()
        try:
            connection.request(method, path, form or None, headers)
            answer = connection.getresponse()
            body = answer.read()
            seconds = time.perf_counter() - began
            return Visited(
                seconds,
                body,
                answer.headers.get("Location", ""),
                answer.headers.get("Set-Cookie", "").partition(";")[0],
            )
        finally:
            connection.close()


@contextmanager
def _chromium(driver: Playwright) -> Iterator[Browser]:
    launched = driver.chromium.launch(
        executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
    )
    try:
        yield launched
    finally:
        launched.close()


class Curled(NamedTuple):
    """What curl got: the answer, and the seconds that it took, curl's own start not included."""

    text: str
    seconds: float


class Visited(NamedTuple):
    """What a browser would have got."""

    seconds: float
    body: bytes
    location: str
    cookie: str


def best(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The best of each figure: the highest speed, the least of all else."""
    return {name: (max if name.endswith("/s") else min)(each[name] for each in rounds) for name in rounds[0]}


def document(command: str, rounds: list[dict[str, float]]) -> str:
    """The whole of docs/gateway.md."""
    found = best(rounds)
    rows = "\n".join(f"| {name} | {_shown(value)} | {_verdict(name, value)} |" for name, value in found.items())
    return f"""# What the gateway takes

Written by `{command}` on {datetime.now(UTC):%Y-%m-%d}: tahoe-grid {__version__}, ten storage servers, mosquitto and all else on one machine of
{os.cpu_count()} processors, whose load average over the last quarter of an hour, this run included, was {os.getloadavg()[2]:.1f}. The best of
{len(rounds)} rounds, of which each takes the median of {TIMES} requests; asked with curl, by its own clock, and the page as a browser asks for it.

| figure | | must be |
|---|---|---|
{rows}

The slow readers take {SLOW}B a second each of one file of 100 MB; the small files beside them were not read before. All of them begin at once, and
until the buffers that the system keeps for each are full (some hundred megabytes) they are as fast as anybody: that is *while they begin*.
Medians hide a slow one: on a busy machine with the embedded broker single small files took 2 to 10 s in that time, and why is not known. How this compares with Tahoe-LAFS,
through the same gateway, stands in [benchmarks.md](benchmarks.md).
"""


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _verdict(name: str, value: float) -> str:
    target = TARGETS.get(name)
    if target is None:
        return ""
    return f"{target.about}: {'met' if value <= target.most else '**missed**'}"


@click.command()
@click.option("--rounds", default=3, show_default=True, help="The best of them counts.")
@click.option("--megabytes", default=100, show_default=True, help="Size of the file that goes up and down.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("docs/gateway.md"), show_default=True
)
def main(*, rounds: int, megabytes: int, out: Path) -> None:
    """Measure what the gateway takes with curl, a large page, and many slow readers."""
    for program in ("curl", "chromium"):
        if shutil.which(program) is None:
            raise click.ClickException(f"{program} is needed (Debian: apt-get install {program})")
    with tempfile.TemporaryDirectory(prefix="tahoe-bench-") as folder, OurGrid(Path(folder) / "ours") as grid:
        found = [GatewayWork(grid, Path(folder), megabytes).take(_report).figures for _ in range(rounds)]
    text = document("python -m experiments.bench.gateway", found)
    out.write_text(text)
    click.echo(text)


def _report(step: str) -> None:
    click.echo(f"... {step}", err=True)


if __name__ == "__main__":
    main()
