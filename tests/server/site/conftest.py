"""A published site with everything a page can meet, once for all tests of the pages."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from mars.testing.publisher import Publisher
from mars_server.site.dashboard import dashboard_routes
from mars_server.site.pages.events import Note
from mars_server.site.publish import PublishReport, publish
from mars_server.tables.compose import FloorRules
from tests.server.publication import kit
from tests.server.publication.kit import Counted

WEEKS = 16
GAP = 5
FLOOD = 9
NOTES = [Note(kit.week(3), {"en": "A <note> & more.", "de": "Eine <Notiz>."})]


@dataclass(frozen=True)
class Published:
    """A folder as ``publish`` leaves it, with its chart cache, and what was published."""

    folder: Path
    cache: Path
    outcome: PublishReport


def counted(n: int) -> Counted:
    """A week of a growing project: versions take over, and one country gets listed."""
    hits = 3000 if n == FLOOD else 500 + 20 * n
    newest = hits * n // 30
    return Counted(
        plain=hits // 3,
        tables={
            "v": {"0.1.0": 7, "0.5.1": hits - newest, "0.5.2": newest, "dev": 2},
            "os": {"linux": hits // 3, "windows": hits // 2, "macos": hits // 9, "other": 12},
            "ia": {"1": hits // 20, "10": hits // 8, "100": hits // 2, "1000": hits // 4},
            "lang": {"en": hits // 5, "de": 30 + n * 3, "is": 9},
            "py": {"3.11": hits // 20, "3.12": hits // 15, "3.99": 3},
            "cc": {"DE": hits // 8, "IS": 9},
        },
        pairs={
            ("0.5.1", "linux"): (hits - newest) // 3,
            ("0.5.1", "windows"): (hits - newest) // 2,
            ("0.5.2", "windows"): newest // 2,
            ("0.1.0", "macos"): 7,
        },
    )


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    cache = kit.chart_cache(tmp_path_factory)
    folder = tmp_path_factory.mktemp("published")
    weeks = {kit.week(n): counted(n) for n in range(WEEKS) if n != GAP}
    outcome = publish(
        kit.database(folder, weeks),
        folder / "site",
        FloorRules(kit.PRODUCT),
        kit.LATER,
        notes=NOTES,
        motd=Publisher().document(kit.LATER),
        chart_cache=cache,
    )
    return Published(folder / "site", cache, outcome)


@pytest.fixture(scope="session")
def served(published: Published) -> Iterator[str]:
    """The same folder behind the server's routes; yields ``http://127.0.0.1:PORT``."""
    app = web.Application()
    app.add_routes(dashboard_routes(published.folder, kit.PRODUCT, chart_cache=published.cache))
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app)
    loop.run_until_complete(runner.setup())
    site = web.TCPSite(runner, "127.0.0.1", 0)
    loop.run_until_complete(site.start())
    port = runner.addresses[0][1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(runner.cleanup())
    loop.close()
