"""Answers that are made aside: by one thread, from a short queue, and kept within bounds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from aiohttp import web

KEPT_BYTES: Final = 16 * 1024 * 1024
"""Answers of a lane kept in memory, by size; the least recently used go first."""


@dataclass(frozen=True)
class Answer:
    """A finished body with its media type."""

    body: bytes
    media_type: str


class Lane:
    """One kind of answers. Whatever the other lanes do, this one goes on.

    ``queue``: answers being made or waiting to be; further visitors get 503 and may try again.
    """

    def __init__(self, name: str, queue: int) -> None:
        self._queue = queue
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"dashboard-{name}")
        self._pending: dict[str, asyncio.Future[Answer | None]] = {}
        self._kept = _Kept(KEPT_BYTES)

    def forget(self) -> None:
        """From now on answers are made anew, those on their way included."""
        self._pending, self._kept = {}, _Kept(KEPT_BYTES)

    async def answer(self, name: str, make: Callable[[], Answer | None]) -> Answer | None:
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

    def _begin(self, name: str, make: Callable[[], Answer | None]) -> asyncio.Future[Answer | None]:
        pending = self._pending
        if len(pending) >= self._queue:
            raise web.HTTPServiceUnavailable
        future = asyncio.get_running_loop().run_in_executor(self._worker, make)
        pending[name] = future
        future.add_done_callback(lambda _: pending.pop(name, None))
        return future


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
