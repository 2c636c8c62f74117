"""One serving process: takes connections, keeps house, ends with its log complete."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from mars.errors import MarsError
from mars.ports import Chance, Clock
from mars.wire.product import Product
from mars.wire.times import DAY
from mars_server.common.config import Limits
from mars_server.daylog.format import SPOOL
from mars_server.daylog.writer import DayLog
from mars_server.serving.aiohttp_connection import application
from mars_server.serving.bind import Hosts
from mars_server.serving.listener import Listener
from mars_server.serving.logline import log_line, sealed_line
from mars_server.serving.motd_source import MotdSource, ServedMotd
from mars_server.serving.prometheus import Counters
from mars_server.serving.service import Service
from mars_server.serving.supervisor import STOPPING, Tell

CHECK_EVERY = 0.05
"""Seconds between two looks at answers that wait for their peer."""
_KEEP_EVERY = 20
"""Looks between two rounds of housekeeping: day, disk, document."""
_PULSE_EVERY = 0.5
"""Seconds between two signs of life."""
_ONION_EVERY = 5.0
"""Seconds between two looks whether tor still has the onion service."""
_WARN_BEFORE = 7 * DAY
"""Seconds before a document expires from which on the operator is told, once a day."""

_OF_ONE_PROCESS = "openpgp-unavailable"
"""The refusal that is no fault of the document's: gpg did not answer this process."""


@dataclass(frozen=True)
class Setup:
    """What to serve, and how. The same for every process of one server."""

    source: MotdSource
    log: Path
    hosts: Callable[[Product], Hosts]
    """Asked again and again: tor may make the onion service's name later."""
    limits: Limits = field(default_factory=Limits)
    routes: Callable[[Product], Iterable[web.RouteDef]] = lambda _: ()
    """Routes of the dashboard and the intake, made in each process."""
    keep_onion: Callable[[], None] | None = None
    """Adds the onion service where tor has lost it; blocks, may raise ``MarsError``."""
    spool: Path | None = None
    """Where posted reports are kept; without it there is no intake."""


def spool_log(setup: Setup, clock: Clock, chance: Chance, tell: Tell) -> DayLog | None:
    """The spool of one process, not open yet."""
    if setup.spool is None:
        return None
    return DayLog(setup.spool, clock, chance, tell, sealed_line, SPOOL)


class Worker:
    """``run`` returns when SIGTERM or SIGINT came, or when ``parent`` is closed."""

    def __init__(
        self,
        setup: Setup,
        clock: Clock,
        chance: Chance,
        counters: Counters,
        tell: Tell,
        first: bool = True,
    ) -> None:
        """``first``: of several processes it tells what they all come to know of the document, and
        keeps the onion service."""
        self._setup = setup
        self._clock = clock
        self._counters = counters
        self._tell = tell
        self._first = first
        self._log = DayLog(setup.log, clock, chance, tell, log_line)
        self._spool = spool_log(setup, clock, chance, tell)
        self._logs = list(filter(None, (self._log, self._spool)))
        self._stop = asyncio.Event()
        self._warned = 0
        self._onion_trouble = self._fault = ""

    def open(self) -> None:
        """Opens the log and the spool, before any connection. Raises ``StateError``."""
        for log in self._logs:
            log.open()

    async def run(
        self,
        sock: socket.socket,
        document: ServedMotd,
        parent: int | None = None,
        beat: Callable[[], None] | None = None,
    ) -> bool:
        """Serves until told to stop; True when the log is complete on disk.

        ``parent`` is readable once the supervisor is gone; ``beat`` is called about once a second
        for as long as the process lives.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._report)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._setup.source.forget)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        if parent is not None:
            loop.add_reader(parent, self._stop.set)
        self._took(document)
        hosts, limits = self._setup.hosts(document.product), self._setup.limits
        given = self._log, self._clock, limits, self._counters, self._spool
        service = Service(document, hosts, *given)
        runner = web.AppRunner(
            application(service, self._setup.routes(document.product)),
            access_log=None,
            handle_signals=False,
        )
        await runner.setup()
        assert runner.server is not None
        listener = Listener(loop, sock, service, runner.server)
        listener.open()
        aside = [asyncio.create_task(task) for task in (self._keep_onion(), self._pulse(beat))]
        try:
            await self._keep_house(service)
        finally:
            await listener.close()
            await self._drain(service)
            await listener.end()
            await runner.cleanup()
        await self._slow
        left = [await asyncio.to_thread(log.close) for log in self._logs]
        for task in aside:
            task.cancel()
        return not any(left)

    async def _keep_house(self, service: Service) -> None:
        """Looks at connections many times a second, however long a disk or gpg may take."""
        rounds = 0
        self._slow = asyncio.create_task(self._slow_work(service))
        while not self._stop.is_set():
            service.check()
            if rounds % _KEEP_EVERY == 0:
                self._housekeeping(service)
                if self._slow.done():
                    self._slow = asyncio.create_task(self._slow_work(service))
            rounds += 1
            try:
                async with asyncio.timeout(CHECK_EVERY):
                    await self._stop.wait()
            except TimeoutError:
                continue

    def _housekeeping(self, service: Service) -> None:
        log, spool, counters = self._log, self._spool, self._counters
        with self._serving_on():
            for each in self._logs:
                each.tick()
            service.expire()
            service.allow_hosts(self._setup.hosts(service.document.product))
            self._warn(service.document)
            counters.set("log_written", log.written)
            counters.set("log_lost", log.lost)
            counters.set("log_healthy", int(log.healthy))
            counters.set("spool_healthy", int(spool is None or spool.healthy))
            counters.set("connections", len(service.connections))

    async def _slow_work(self, service: Service) -> None:
        """What may take minutes: the logs of a busy day, a document that gpg looks at."""
        with self._serving_on():
            for log in self._logs:
                await asyncio.to_thread(log.finish)
            if self._setup.source.changed():
                await self._load(service)

    async def _pulse(self, beat: Callable[[], None] | None) -> None:
        """A sign of life while the event loop turns, also while the last log is written."""
        while True:
            with self._serving_on():
                self._counters.set("heartbeat", int(self._clock.monotonic()))
                if beat is not None:
                    beat()
            await asyncio.sleep(_PULSE_EVERY)

    @contextmanager
    def _serving_on(self) -> Iterator[None]:
        """Whatever goes wrong in keeping house is told, and no reason to serve no more."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - any defect or fault
            fault = type(error).__name__
            self._counters.add("errors")
            if fault != self._fault:
                self._fault = fault
                self._tell(f"internal error in housekeeping: {fault}; serving goes on")

    async def _load(self, service: Service) -> None:
        try:
            document = await asyncio.to_thread(self._setup.source.load, self._clock.now())
        except MarsError as error:
            if self._first or error.reason == _OF_ONE_PROCESS:
                self._counters.add("reload_failed")
                self._tell(f"the MOTD stays as it is: {error}")
            return
        service.show(document)
        if self._first:
            self._tell(f"serving serial {document.motd.serial}")
        if self._first:
            self._counters.add("reload_failed", len(document.flaws))
        self._took(document)

    async def _keep_onion(self) -> None:
        """Looks after the onion service for as long as we run; tor may come and go."""
        keep = self._setup.keep_onion if self._first else None
        while keep is not None:
            await asyncio.sleep(_ONION_EVERY)
            trouble = ""
            try:
                await asyncio.to_thread(keep)
            except MarsError as error:
                trouble = str(error)
            if trouble != self._onion_trouble:
                self._onion_trouble = trouble
                self._tell(trouble or "tor answers again")

    def _took(self, document: ServedMotd) -> None:
        self._counters.set("serial", document.motd.serial)
        self._counters.set("expires", document.motd.expires)
        self._counters.set("unlisted", int(bool(document.unlisted)))
        self._counters.set("companions", len(document.flaws))
        if not self._first:
            return
        for told in (*document.flaws, *filter(None, [document.unlisted and document.doubt])):
            self._tell(told)

    def _warn(self, document: ServedMotd) -> None:
        if not self._first:
            return
        now, expires = self._clock.now(), document.motd.expires
        day = now // DAY
        if expires - now < _WARN_BEFORE and self._warned != day:
            self._warned = day
            what = (
                "has expired" if expires <= now else f"expires in {(expires - now) // DAY} day(s)"
            )
            self._tell(f"the MOTD {what}; sign and deploy a new one")

    async def _drain(self, service: Service) -> None:
        """Lets answers that are under way arrive; idle connections are closed at once."""
        end = self._clock.monotonic() + self._setup.limits.grace
        service.ending = True
        await asyncio.sleep(0)
        while service.connections and self._clock.monotonic() < end:
            service.check()
            for held in service.connections:
                if held.idle:
                    held.drop()
            await asyncio.sleep(0.02)
        for held in service.connections:
            held.drop()

    def _report(self, _loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """Tells that something went wrong inside, by its type alone (no byte of a request) or by
        a sentence of our own (``told``)."""
        self._counters.add("errors")
        kind = type(context.get("exception")).__name__
        self._tell(str(context.get("told") or f"internal error: {kind}"))
