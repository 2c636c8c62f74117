"""The dashboard as routes of the server: the same pages as the static site, and free ranges.

It reads the folder that ``mars-server publish`` writes, and so never sees an exact count. What
visitors may ask for is the site's own list of addresses with whole published weeks; drawing is
done by one thread with a short queue, and kept in memory and on disk within bounds.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from mars.errors import MarsError
from mars.wire.product import Product
from mars_server.charts.store import ChartStore
from mars_server.pages import address as place
from mars_server.pages import ranges
from mars_server.pages.events import NOTES_FILE, Note, decode_notes
from mars_server.pages.language import LANGUAGES, SOURCE
from mars_server.pages.site import MEDIA_TYPES, Site, media_type
from mars_server.publication.folder import DATA, read_documents, read_weeks
from mars_server.publication.index import INDEX, is_signed
from mars_server.publication.weeks import is_week

QUEUE: Final = 16
"""Answers being made or waiting to be; further visitors get 503 and may try again."""
KEPT_BYTES: Final = 16 * 1024 * 1024
"""Answers kept in memory, by size; the least recently used go first."""
LOOK_EVERY: Final = 10.0
"""Seconds between two looks whether something new was published."""
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "max-age=600",
}
_DATA_NAME = re.compile(r"[A-Za-z0-9-]{1,20}\.(?:csv|json|json\.sig|pem)", re.ASCII)
_FOLDERS = "|".join(
    re.escape(name) for name in (*place.RANGED, *place.PLAIN, *LANGUAGES, DATA) if name != SOURCE
)
_FILES = "|".join(re.escape(name) for name in (place.PAGE, *place.STATIC))
PATTERN: Final = rf"/{{path:(?:|{_FILES}|(?:{_FOLDERS})/.*)}}"
"""The site's part of the URL space; everything else is left to other routes."""


@dataclass(frozen=True)
class Answer:
    """A finished body with its media type."""

    body: bytes
    media_type: str


def dashboard_routes(
    folder: Path,
    product: Product,
    *,
    chart_cache: Path | None = None,
    look_every: float = LOOK_EVERY,
) -> list[web.RouteDef]:
    """Routes that show what was published into ``folder`` (it may still be empty), with the notes
    that ``publish`` was given. Charts of a visitor's own ranges are kept in ``chart_cache``.

    Raises ``WireError`` where a published file in it was changed.
    """
    dashboard = Dashboard(folder, product, ChartStore(chart_cache, site=folder), look_every)
    return [web.get(PATTERN, dashboard.answer)]


class Dashboard:
    def __init__(
        self,
        folder: Path,
        product: Product,
        charts: ChartStore,
        look_every: float,
    ) -> None:
        self._folder = folder
        self._product = product
        self._charts = charts
        self._look_every = look_every
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dashboard")
        self._pending: dict[str, asyncio.Future[Answer | None]] = {}
        self._kept = _Kept(KEPT_BYTES)
        self._looked = 0.0
        self._stamp = self._current_stamp()
        self._site = self._load()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One file of the site. 404 for what is not there, 503 while too much is being made."""
        await self._look()
        path = request.match_info["path"]
        chosen = _chosen(path, request.query)
        if chosen is not None:
            raise web.HTTPSeeOther(chosen)
        name = _name(path)
        if name is None:
            raise web.HTTPNotFound
        found = self._kept.get(name) or await self._make(name)
        if found is None:
            raise web.HTTPNotFound
        headers = {**HEADERS, hdrs.CONTENT_TYPE: found.media_type}
        return web.Response(body=found.body, headers=headers)

    async def _make(self, name: str) -> Answer | None:
        """Makes an answer once, however many ask for it at the same time."""
        kept, future = self._kept, self._pending.get(name)
        if future is None:
            if len(self._pending) >= QUEUE:
                raise web.HTTPServiceUnavailable
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._worker, self._content, name)
            self._pending[name] = future
            future.add_done_callback(lambda _: self._pending.pop(name, None))
        # Shielded: a visitor who leaves does not take the answer away from the others.
        found = await asyncio.shield(future)
        if found is not None:
            kept.put(name, found)
        return found

    def _content(self, name: str) -> Answer | None:
        """In the worker thread."""
        if name.startswith(f"{DATA}/"):
            return self._data(name.removeprefix(f"{DATA}/"))
        address = place.parse(name)
        if address is None:
            return None
        body = self._site.content(address)
        return None if body is None else Answer(body, media_type(address))

    def _data(self, name: str) -> Answer | None:
        """A download. The folder is flat and names hold no separator, so none leads elsewhere."""
        path = self._folder / DATA / name
        if _DATA_NAME.fullmatch(name) is None or path.is_symlink() or not path.is_file():
            return None
        kind = MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        return Answer(path.read_bytes(), kind)

    async def _look(self) -> None:
        """Takes over what was published since the last look; keeps the old where it is broken."""
        now = asyncio.get_running_loop().time()
        if now - self._looked < self._look_every:
            return
        self._looked = now
        stamp = self._current_stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            loop = asyncio.get_running_loop()
            self._site = await loop.run_in_executor(self._worker, self._load)
        except MarsError:
            return
        self._kept = _Kept(KEPT_BYTES)

    def _current_stamp(self) -> list[tuple[int, int] | None]:
        return [_stamp(self._folder / name) for name in (f"{DATA}/{INDEX}", NOTES_FILE)]

    def _load(self) -> Site:
        return Site(
            self._product,
            read_weeks(self._folder / DATA),
            signed=is_signed(self._folder / DATA / INDEX),
            notes=self._notes(),
            documents=read_documents(self._folder / DATA),
            charts=self._charts,
            served=True,
        )

    def _notes(self) -> list[Note]:
        """The publisher's notes, as the last run of ``publish`` was given them."""
        path = self._folder / NOTES_FILE
        return decode_notes(path.read_bytes()) if path.is_file() else []


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


class _Kept:
    """Answers by name, bounded by the sum of their sizes; the least recently used go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def get(self, name: str) -> Answer | None:
        found = self._answers.get(name)
        if found is not None:
            self._answers.move_to_end(name)
        return found

    def put(self, name: str, answer: Answer) -> None:
        if name in self._answers or len(answer.body) > self._limit:
            return
        self._answers[name] = answer
        self._size += len(answer.body)
        while self._size > self._limit:
            _, gone = self._answers.popitem(last=False)
            self._size -= len(gone.body)


def _name(path: str) -> str | None:
    """The one name of what is asked for (a folder stands for its page), None for nothing."""
    if path.startswith(f"{DATA}/"):
        return path
    address = place.parse(path)
    return None if address is None else address.path


def _chosen(path: str, query: Mapping[str, str]) -> str | None:
    """Where ``?from=WEEK&to=WEEK`` leads, as a relative link; other parameters change nothing."""
    first, last = query.get("from"), query.get("to")
    address = place.parse(path)
    if not first or not last or address is None or address.section not in place.RANGED:
        return None
    if not (is_week(first) and is_week(last)):
        raise web.HTTPNotFound
    return address.to(replace(address, span=ranges.custom(first, last)))
