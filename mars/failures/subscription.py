"""What a subscriber reads from: a bounded queue of its own, for threads and for asyncio."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Self

from mars.failures.machine import Event


class Subscription:
    """Events of one stream, from now on. Close it after use, or use it in a ``with``.

    Where it is full the oldest event makes room. Several threads and tasks may share one: each
    event goes to one of them.
    """

    def __init__(
        self,
        maxlen: int,
        look: Callable[[], float | None],
        leave: Callable[[Subscription], object],
    ) -> None:
        """``look`` has the stream look at its clock, and gives the seconds until it should again,
        None where nothing is pending; ``leave`` ends the subscription there."""
        self._look = look
        self._leave = leave
        self._events: deque[Event] = deque(maxlen=maxlen)
        self._came = self._gone = 0
        self._wakers: tuple[Callable[[], object], ...] = ()
        self._lock = threading.RLock()
        """Of those who read alone: who puts never waits for them."""
        self.closed = False

    @property
    def lost(self) -> int:
        """How many events found it full and pushed out another."""
        return max(self._came - self._gone - len(self._events), 0)

    def get(self, timeout: float | None = None) -> Event | None:
        """The next event. Waits for it up to ``timeout`` seconds (0: not at all; None: for ever);
        None where none came, or it is closed."""
        end = None if timeout is None else _now() + timeout
        woken: SimpleQueue[None] = SimpleQueue()
        with self._waking(partial(woken.put, None)):
            while True:
                event, until = self._next()
                left = None if end is None else end - _now()
                if event is not None or self.closed or (left is not None and left <= 0):
                    return event
                with suppress(Empty):
                    woken.get(timeout=_least(until, left))

    async def aget(self) -> Event | None:
        """The next event; None once it is closed."""
        import asyncio  # late: who awaits has it

        woken = asyncio.Event()
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, woken.set)
        with self._waking(wake):
            while True:
                woken.clear()
                event, until = self._next()
                if event is not None or self.closed:
                    return event
                with suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), until)

    def __iter__(self) -> Iterator[Event]:
        """Until it is closed."""
        while (event := self.get()) is not None:
            yield event

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Until it is closed."""
        while (event := await self.aget()) is not None:
            yield event

    def close(self) -> None:
        """No more events come; who waits gets None, after what came before."""
        self.closed = True
        self._leave(self)
        self.wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- of the stream ----------------------------------------------------------------------

    def put(self, event: Event) -> None:
        """Called by one thread at a time; never waits, not even for who reads."""
        self._came += 1
        self._events.append(event)

    def wake(self) -> None:
        """Has who waits look again."""
        for waker in self._wakers:
            with suppress(RuntimeError):  # of a loop that was closed
                waker()

    def forked(self) -> None:
        """In the child of a fork nobody waits."""
        self._wakers, self._lock = (), threading.RLock()

    def _next(self) -> tuple[Event | None, float | None]:
        until = self._look()
        with self._lock:
            if not self._events:
                return None, until
            self._gone += 1
            return self._events.popleft(), until

    @contextmanager
    def _waking(self, waker: Callable[[], object]) -> Iterator[None]:
        with self._lock:
            self._wakers += (waker,)
        try:
            yield
        finally:
            with self._lock:
                self._wakers = tuple(one for one in self._wakers if one is not waker)


def _now() -> float:
    return time.monotonic()  # noqa: TID251 - real threads


def _least(one: float | None, other: float | None) -> float | None:
    both = [seconds for seconds in (one, other) if seconds is not None]
    return max(min(both), 0.0) if both else None
