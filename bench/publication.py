"""Publishing five years of weekly data: wall time, peak memory, page weight.

Fills a counts database directly (260 weeks, 12 versions, 4 platforms, 30 languages), runs
``mars-server publish`` as its own process, then again with nothing new to publish: with the key
that signed the index, which vouches for the charts, and without.
"""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import psutil
from sqlalchemy import insert

from mars.wire.product import parse_product
from mars_server.publication.folder import read_weeks
from mars_server.site.pages.address import Address
from mars_server.site.pages.render import Contents
from mars_server.site.pages.site import Site
from mars_server.storage import open_database
from mars_server.storage.schema import counts, meta, pairs

WEEKS = 260
MONDAY = date(2021, 1, 4)
RELEASES = [f"0.{minor}.{patch}" for minor in range(1, 5) for patch in range(3)]
PLATFORMS = ["linux", "windows", "macos", "other"]
LANGUAGES = (
    "en de fr es it pt nl sv da fi is nb pl cs sk hu ro bg el tr ru uk ja zh ko ar he hi th vi"
).split()
REQUESTS = 2000
SERVER = """
import asyncio, pathlib
from aiohttp import web
from mars.wire.product import parse_product
from mars_server.site.dashboard import dashboard_routes

async def serve():
    site, product = pathlib.Path('{site}'), pathlib.Path('{product}')
    plain = site.parent / "plain"
    app = web.Application()
    app.add_routes(dashboard_routes(site, parse_product(product.read_bytes())))
    app.router.add_static("/plain", plain)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    tcp = web.TCPSite(runner, "127.0.0.1", 0)
    await tcp.start()
    port = runner.addresses[0][1]
    print(port, flush=True)
    await asyncio.Event().wait()

asyncio.run(serve())
"""
LOOK = 0.1
"""Seconds between two looks at the memory."""
LIMIT_RATIO = 1.5
LIMIT_SECONDS = 60
LIMIT_MEGABYTES = 500
LIMIT_PAGE = 150_000


def fill(url: str) -> None:
    """Five years of a growing project of some 20,000 installations."""
    chance = random.Random(7)
    with open_database(url).begin() as connection:
        connection.execute(
            insert(meta), [{"key": "product", "value": "bench"}, {"key": "channel", "value": "a"}]
        )
        for n in range(WEEKS * 7):
            day = (MONDAY + timedelta(days=n)).isoformat()
            rows, crossed = _day(n, chance)
            connection.execute(insert(counts), [{"day": day, **row} for row in rows])
            connection.execute(insert(pairs), [{"day": day, **row} for row in crossed])


def _day(n: int, chance: random.Random) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    hits = 500 + 2 * n + chance.randint(-50, 50)
    tracked = hits * 7 // 10
    current = n * len(RELEASES) // (WEEKS * 7)
    weights = [0.6 ** abs(current - k) if k <= current else 0 for k in range(len(RELEASES))]
    spread = {
        "level": {"plain": hits - tracked, "tracked": tracked},
        "v": _split(tracked, dict(zip(RELEASES, weights, strict=True)), hits),
        "os": _split(tracked, dict(zip(PLATFORMS, (0.3, 0.5, 0.18, 0.02), strict=True)), hits),
        "ia": _split(tracked, {"1": 0.05, "10": 0.15, "100": 0.5, "1000": 0.3}, hits),
        "lang": _split(tracked // 3, {name: 1 / (k + 1) for k, name in enumerate(LANGUAGES)}, hits),
        "py": _split(tracked // 3, {"3.11": 0.5, "3.12": 0.3, "3.13": 0.2}, hits),
        "cc": _split(tracked // 3, {"DE": 0.3, "US": 0.4, "IS": 0.1, "FR": 0.2}, hits),
    }
    rows: list[dict[str, object]] = [
        {"variable": variable, "value": value, "n": count}
        for variable, table in spread.items()
        for value, count in table.items()
        if count
    ]
    crossed: list[dict[str, object]] = [
        {"v": v, "os": os, "n": count * spread["os"][os] // tracked}
        for v, count in spread["v"].items()
        for os in PLATFORMS
        if v != "none"
    ]
    return rows, crossed


def _split(count: int, weights: dict[str, float], hits: int) -> dict[str, int]:
    whole = sum(weights.values())
    table = {name: int(count * weight / whole) for name, weight in weights.items()}
    return {**table, "none": hits - sum(table.values())}


def publish(folder: Path, *options: str) -> tuple[float, float]:
    """Wall seconds, and the most memory that it and its processes took together in MB."""
    command = [
        str(Path(sys.executable).with_name("mars-server")), "publish",
        "--db", f"sqlite:///{folder}/counts.db", "--out", str(folder / "site"),
        "--product", str(folder / "product.toml"), "--now", "2027-01-01T00:00:00Z",
        *options,
    ]  # fmt: skip
    start = time.perf_counter()
    peak = 0.0
    with subprocess.Popen(command, stdout=sys.stderr) as process:
        watch = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, _memory(watch))
            time.sleep(LOOK)
    if process.returncode != 0:
        raise SystemExit(f"publish failed with {process.returncode}")
    return time.perf_counter() - start, peak


def _memory(process: psutil.Process) -> float:
    """Resident MB of a process and those that it started."""
    with suppress(psutil.NoSuchProcess):
        each = [process, *process.children(recursive=True)]
        return sum(one.memory_info().rss for one in each) / 2**20
    return 0.0


def pages(site: Path) -> Iterator[tuple[int, str]]:
    """Each page's weight: HTML, style sheet and the pictures of one colour scheme."""
    style = (site / "style.css").stat().st_size + (site / "icon.png").stat().st_size
    for page in site.rglob("*.html"):
        text = page.read_text()
        pictures = {part.split('"')[0] for part in text.split('<img src="')[1:]}
        charts = sum((page.parent / name).stat().st_size for name in pictures)
        yield page.stat().st_size + style + charts, str(page.relative_to(site))


def serving_cost(folder: Path) -> dict[str, float]:
    """Server CPU microseconds per request: a cached page, and a static file of the same bytes."""
    body = _served_page(folder)
    (folder / "plain").mkdir(exist_ok=True)
    (folder / "plain/index.html").write_bytes(body)
    script = SERVER.format(site=folder / "site", product=folder / "product.toml")
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        watch = psutil.Process(server.pid)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        costs: dict[str, list[float]] = {"page": [], "static": []}
        paths = {"page": "/v/index.html", "static": "/plain/index.html"}
        for _ in range(5):
            for name, path in paths.items():
                _ask(connection, path, 20)
                before = sum(watch.cpu_times()[:2])
                _ask(connection, path, REQUESTS)
                costs[name].append((sum(watch.cpu_times()[:2]) - before) / REQUESTS * 1e6)
        connection.close()
        server.terminate()
    return {name: sorted(values)[len(values) // 2] for name, values in costs.items()}


def _served_page(folder: Path) -> bytes:
    """The page as it is served, with the form that the static site has not."""
    product = parse_product((folder / "product.toml").read_bytes())
    site = Site(Contents(product, read_weeks(folder / "site/data"), served=True))
    page = site.content(Address(section="v"))
    assert page is not None
    return page


def _ask(connection: http.client.HTTPConnection, path: str, times: int) -> None:
    for _ in range(times):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "product.toml").write_text(
            'product = "bench"\nchannel = "a"\n'
            f"releases = {json.dumps(RELEASES)}\n"
            f"platforms = {json.dumps(PLATFORMS[:3])}\n"
            f"languages = {json.dumps(LANGUAGES)}\n"
            "crowd = 1000\n"
        )
        fill(f"sqlite:///{folder}/counts.db")
        key = folder / "operator-key.pem"
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True
        )
        key.chmod(0o600)
        first, memory = publish(folder, "--sign-key", str(key))
        again, _ = publish(folder, "--sign-key", str(key))
        unsigned, _ = publish(folder)
        costs = serving_cost(folder)
        weights = sorted(pages(folder / "site"))
        files = [path for path in (folder / "site").rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
    print(f"publish, {WEEKS} weeks at once: {first:.1f} s (limit {LIMIT_SECONDS})")
    print(f"again, nothing new, signed:  {again:.1f} s")
    print(f"again, nothing new, no key:  {unsigned:.1f} s (draws all charts anew)")
    print(f"peak memory, all processes:  {memory:.0f} MB (limit {LIMIT_MEGABYTES})")
    print(f"heaviest page with charts:   {weights[-1][0]} bytes ({weights[-1][1]})")
    print(f"lightest page:               {weights[0][0]} bytes ({weights[0][1]})")
    ratio = costs["page"] / costs["static"]
    print(f"cached page, server CPU:     {costs['page']:.0f} µs a request")
    print(f"static file, same bytes:     {costs['static']:.0f} µs; ratio {ratio:.2f} (limit 1.5)")
    print(f"site:                        {len(files)} files, {size / 1e6:.1f} MB")
    fine = (
        max(first, unsigned) < LIMIT_SECONDS
        and memory < LIMIT_MEGABYTES
        and weights[-1][0] < LIMIT_PAGE
    )
    fine = fine and ratio <= LIMIT_RATIO
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
