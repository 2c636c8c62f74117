"""The dashboard as routes of the server: the same pages as the static site, and free ranges.

It reads the folder that ``mars-server publish`` writes, and so never sees an exact count. What
visitors may ask for is the site's own list of addresses with whole published weeks. Downloads, what
is published, and ranges that a visitor chose each have a lane of their own: one thread with a short
queue, and what it made is kept within bounds. So no number of free ranges takes the rest away.
Charts are drawn by another process, at the lowest priority.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from mars.errors import MarsError, StateError
from mars.wire.product import Product
from mars_server.common.calendar import is_week
from mars_server.common.config import stamp
from mars_server.publication.folder import (
    DATA,
    read_all_faults,
    read_all_statistics,
    read_declared,
    read_documents,
    read_status,
    read_weeks,
)
from mars_server.publication.index import INDEX, is_signed
from mars_server.site.charts.drawer import Drawer
from mars_server.site.charts.store import ChartStore
from mars_server.site.html import HEADERS
from mars_server.site.language import LANGUAGES, SOURCE
from mars_server.site.pages import address as place
from mars_server.site.pages import ranges
from mars_server.site.pages.address import Address
from mars_server.site.pages.events import NOTES_FILE, decode_notes
from mars_server.site.pages.render import Contents
from mars_server.site.pages.site import Site, media_type, nothing_here

_QUEUE: Final = 64
"""Downloads, or published pages and charts, being made or waiting to be. There are not many, and
they are made quickly."""
FREE_QUEUE: Final = 8
"""The same of ranges that visitors choose: each may need half a second of drawing."""
_KEPT_BYTES: Final = 16 * 1024 * 1024
"""Answers of a lane kept in memory, by size; the least recently used go first."""
_LOOK_EVERY: Final = 10.0
"""Seconds between two looks whether something new was published."""
_HEADERS: Final = {**HEADERS, hdrs.CACHE_CONTROL: "max-age=600"}
_DATA_NAME = re.compile(rf"{DATA}/[A-Za-z0-9-]{{1,20}}\.(?:csv|json|json\.sig|pem)", re.ASCII)
_FOLDERS = "|".join(
    re.escape(name)
    for name in (*place.RANGED, *place.PLAIN, *place.DECLARED, *place.OF_ERRORS, *LANGUAGES, DATA)
    if name != SOURCE
)
_FILES = "|".join(re.escape(name) for name in (place.PAGE, *place.STATIC))
_PATTERN: Final = rf"/{{path:(?:|{_FILES}|(?:{_FOLDERS})(?:/.*)?)}}"
"""The site's part of the URL space; everything else is left to other routes."""


def dashboard_routes(
    folder: Path,
    product: Product,
    *,
    chart_cache: Path | None = None,
    look_every: float = _LOOK_EVERY,
) -> list[web.RouteDef]:
    """Routes that show what was published into ``folder`` (it may still be empty), with the notes
    that ``publish`` was given. Charts of a visitor's own ranges are kept in ``chart_cache``.

    Raises ``WireError`` where a published file in it was changed.
    """
    return [web.get(_PATTERN, _Dashboard(folder, product, chart_cache, look_every).answer)]


class _Dashboard:
    def __init__(
        self, folder: Path, product: Product, chart_cache: Path | None, look_every: float
    ) -> None:
        self._folder = folder
        self._product = product
        self._look_every = look_every
        self._downloads = Lane("downloads", _QUEUE)
        self._published = Lane("published", _QUEUE)
        self._free = Lane("free", FREE_QUEUE)
        drawer = Drawer()
        # A store is not safe for threads, so each lane that shows charts has its own.
        self._charts = {
            lane: ChartStore(chart_cache, site=folder, renderer=drawer.render)
            for lane in (self._published, self._free)
        }
        self._looked = 0.0
        self._stamp = self._current_stamp()
        self._sites: dict[Lane, Site] = {}
        self._named: frozenset[str] = frozenset()
        self._load()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One file of the site. A page with 404 for what is not there, 503 while too much is being
        made."""
        try:
            return await self._answer(request)
        except web.HTTPNotFound:
            headers = {**_HEADERS, hdrs.CONTENT_TYPE: media_type(place.PAGE)}
            return web.Response(status=404, body=nothing_here(), headers=headers)

    async def _answer(self, request: web.Request) -> web.Response:
        await self._look()
        path = request.match_info["path"]
        elsewhere = _folder_of(path) or _chosen(path, request.query)
        if elsewhere is not None:
            raise web.HTTPSeeOther(elsewhere)
        found, address = None, place.parse(path)
        if path.startswith(f"{DATA}/"):
            found = await self._downloads.answer(path, lambda: self._data(path))
        elif address is not None:
            path = address.path  # a folder stands for its page
            found = await self._page(address)
        if found is None:
            raise web.HTTPNotFound
        headers = {**_HEADERS, hdrs.CONTENT_TYPE: media_type(path)}
        return web.Response(body=found, headers=headers)

    async def _page(self, address: Address) -> bytes | None:
        """By the lane that its range belongs to."""
        lane = self._published if address.span in self._named else self._free
        site = self._sites[lane]
        try:
            return await lane.answer(address.path, lambda: site.content(address))
        except StateError:  # the chart could not be drawn now
            raise web.HTTPServiceUnavailable from None

    def _data(self, name: str) -> bytes | None:
        """A download. The folder is flat and names hold no separator, so none leads elsewhere."""
        path = self._folder / name
        if _DATA_NAME.fullmatch(name) is None or path.is_symlink() or not path.is_file():
            return None
        return path.read_bytes()

    async def _look(self) -> None:
        """Takes over what was published since the last look; keeps the old where it is broken."""
        now = asyncio.get_running_loop().time()
        if now - self._looked < self._look_every:
            return
        self._looked = now
        before, self._stamp = self._stamp, self._current_stamp()
        if self._stamp == before:
            return
        try:
            await asyncio.to_thread(self._load)
        except MarsError:
            return
        for lane in (self._downloads, self._published, self._free):
            lane.forget()

    def _current_stamp(self) -> list[tuple[int, int, int]]:
        return [stamp(self._folder / name) for name in (f"{DATA}/{INDEX}", NOTES_FILE)]

    def _load(self) -> None:
        weeks = read_weeks(self._folder / DATA)
        path = self._folder / NOTES_FILE  # as the last run of ``publish`` was given them
        known = decode_notes(path.read_bytes()) if path.is_file() else ([], True, "")
        notes, own_logs, operator = known
        contents = Contents(
            self._product,
            weeks,
            notes,
            read_documents(self._folder / DATA),
            signed=is_signed(self._folder / DATA / INDEX),
            served=True,
            own_logs=own_logs,
            catalogue=read_declared(self._folder / DATA),
            reports=read_all_statistics(self._folder / DATA),
            status=read_status(self._folder / DATA),
            faults=read_all_faults(self._folder / DATA),
            operator=operator,
        )
        self._sites = {lane: Site(contents, charts) for lane, charts in self._charts.items()}
        self._named = frozenset({ranges.DEFAULT, *ranges.names(weeks)})


def _folder_of(path: str) -> str | None:
    """Where a folder without its slash leads, as a relative link."""
    if place.parse(path) is not None or place.parse(f"{path}/") is None:
        return None
    return f"{path.rpartition('/')[2]}/"


def _chosen(path: str, query: Mapping[str, str]) -> str | None:
    """Where ``?from=WEEK&to=WEEK`` leads, as a relative link, whichever of them is the earlier;
    other parameters change nothing."""
    first, last = query.get("from"), query.get("to")
    address = place.parse(path)
    if not first or not last or address is None or address.section not in place.RANGED:
        return None
    if not (is_week(first) and is_week(last)):
        raise web.HTTPNotFound
    first, last = sorted((first, last))
    return address.to(replace(address, span=ranges.custom(first, last)))


# --- Answers that are made aside: by one thread, from a short queue, and kept within bounds ---


class Lane:
    """One kind of answers. Whatever the other lanes do, this one goes on.

    ``queue``: answers being made or waiting to be; further visitors get 503 and may try again.
    """

    def __init__(self, name: str, queue: int) -> None:
        self._queue = queue
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"dashboard-{name}")
        self._pending: dict[str, asyncio.Future[bytes | None]] = {}
        self._kept = _Kept()

    def forget(self) -> None:
        """From now on answers are made anew, those on their way included."""
        self._pending, self._kept = {}, _Kept()

    async def answer(self, name: str, make: Callable[[], bytes | None]) -> bytes | None:
        """What ``make`` returns, made once, however many ask for ``name`` at the same time.

        Raises ``HTTPServiceUnavailable`` where the queue is full.
        """
        kept = self._kept
        found = kept.get(name)
        if found is None:
            # Shielded: a visitor who leaves does not take the answer away from the others.
            found = await asyncio.shield(self._pending.get(name) or self._begin(name, make))
        if found is not None:
            kept.put(name, found)
        return found

    def _begin(self, name: str, make: Callable[[], bytes | None]) -> asyncio.Future[bytes | None]:
        pending = self._pending
        if len(pending) >= self._queue:
            raise web.HTTPServiceUnavailable
        future = asyncio.get_running_loop().run_in_executor(self._worker, make)
        pending[name] = future
        future.add_done_callback(lambda _: pending.pop(name, None))
        return future


class _Kept:
    """Answers by name, ``_KEPT_BYTES`` in all; the least recently used go first."""

    def __init__(self) -> None:
        self._size = 0
        self._answers: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        return self._answers.get(name)

    def put(self, name: str, answer: bytes) -> None:
        """Also of an answer that was asked for again."""
        if len(answer) <= _KEPT_BYTES:
            self._size += len(answer) - len(self._answers.pop(name, b""))
            self._answers[name] = answer
        while self._size > _KEPT_BYTES:
            self._size -= len(self._answers.pop(next(iter(self._answers))))
