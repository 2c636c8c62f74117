"""Puts a server together: from what the operator set to processes that serve."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from mars import factory
from mars.errors import MarsError, naming
from mars.ports import Clock
from mars.wire.keys import TrustRoot
from mars.wire.product import Product
from mars_server.common.config import Config, load_product, read, require_apart
from mars_server.daylog.writer import DayLog
from mars_server.onion.folder import hostname
from mars_server.onion.settings import OnionSettings
from mars_server.serving.bind import (
    Bind,
    allowed_hosts,
    bound,
    listening,
    parse_bind,
    parse_metrics,
)
from mars_server.serving.disk import fullest, hundredths
from mars_server.serving.logline import log_line
from mars_server.serving.motd_source import MotdSource
from mars_server.serving.prometheus import Counters, Metrics, MetricsSocket, shared
from mars_server.serving.supervisor import STOPPING, Place, Supervisor, Tell
from mars_server.serving.worker import Setup, Worker, spool_log

# --- The few words of systemd's notification protocol (sd_notify(3)) over its datagram socket ---


def _notify(text: str) -> None:
    """Says nothing where the service manager did not ask for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    address = "\0" + address[1:] if address.startswith("@") else address
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(text.encode(), address)


def _watched() -> bool:
    """Whether it asks this process for signs of life."""
    mine = str(os.getpid())
    return "WATCHDOG_USEC" in os.environ and os.environ.get("WATCHDOG_PID", mine) == mine


FILES_KEPT_FREE = 64
"""Descriptors for the log, the database, gpg and the listening sockets."""


def serve(config: Config, tell: Tell) -> int:
    """Serves until SIGTERM; 0 when every log is complete. Raises ``MarsError`` before it serves."""
    require_apart(config)
    address = parse_bind(config.bind)
    metrics = parse_metrics(config.metrics) if config.metrics else None
    setup = _setup(config, address, tell)
    with contextlib.ExitStack() as end:
        sock = end.enter_context(listening(address))
        where = bound(address, sock)
        if config.onion.folder:
            setup = _with_onion(setup, config, where, tell)
        server = _Server(config.workers, setup, sock, str(where), tell)
        if metrics:
            asked = end.enter_context(listening(metrics))
            tell(f"metrics on {bound(metrics, asked)}")
            server.show_metrics(asked)
        return server.run()


def source(config: Config) -> MotdSource:
    """Where documents come from, verified where ``trust`` is set. Raises ``MarsError``."""
    if not config.trust:
        return MotdSource(Path(config.motd), Path(config.product))
    data = read(config.trust, "The trust file")
    with naming(config.trust):
        root = TrustRoot.decode(data)
    return MotdSource(Path(config.motd), Path(config.product), root, factory.openpgp())


def _setup(config: Config, address: Bind, tell: Tell) -> Setup:
    load_product(config.product)  # what is wrong with it is told before anything is made
    if not config.trust:
        tell("without --trust the MOTD's signatures are not checked, only its form and expiry")
    limits = config.limits
    limits = replace(limits, connections=_raise_file_limit(limits.connections))
    onion = config.onion.folder
    return Setup(
        source=source(config),
        log=Path(config.log),
        spool=Path(config.spool) if config.spool else None,
        hosts=lambda product: allowed_hosts(
            [*product.servers, *config.hosts],
            address,
            bool(onion),
            hostname(onion) if onion else None,
        ),
        limits=limits,
        routes=lambda product: _routes(config, product),
    )


def _raise_file_limit(wanted: int) -> int:
    """Raises the soft limit of open files as far as ``wanted`` needs; the connections that fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = min(wanted + FILES_KEPT_FREE, hard)  # a number: Linux lets no process have no limit
    if soft < need:
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it; then fewer fit
            resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
            soft = need
    return max(1, min(wanted, soft - FILES_KEPT_FREE))


def _routes(config: Config, product: Product) -> list[web.RouteDef]:
    if not config.site:
        return []
    from mars_server.site.dashboard import dashboard_routes

    cache = Path(config.chart_cache) if config.chart_cache else None
    return dashboard_routes(Path(config.site), product, chart_cache=cache)


def onion_settings(config: Config, where: Bind) -> OnionSettings:
    """The onion service that leads to ``where``."""
    folder = str(Path(config.onion.folder).absolute())
    onion = config.onion
    return OnionSettings(folder, where.target, port=onion.port, balanced=onion.balanced)


def _with_onion(setup: Setup, config: Config, where: Bind, tell: Tell) -> Setup:
    """Adds the service to tor now, so that a wrong control address is told at once."""
    from mars_server.onion.control import UNDEFENDED, announced, ensure, for_publisher

    settings = onion_settings(config, where)
    onion = config.onion

    def keep(starting: bool = False) -> None:
        added, defended = ensure(settings, onion.control, onion.control_password_file)
        if added or starting:
            tell(announced(settings.folder))
        if added and not defended:
            tell(UNDEFENDED)

    keep(starting=True)
    name = hostname(settings.folder)
    if (
        name
        and not settings.balanced
        and f"http://{name}" not in load_product(config.product).servers
    ):
        tell(f"clients are not told of it yet; {for_publisher(name)}")
    return replace(setup, keep_onion=keep)


class _Server:
    """One process, or a supervisor with several; the same around both."""

    def __init__(
        self, workers: int, setup: Setup, sock: socket.socket, where: str, tell: Tell
    ) -> None:
        self._workers = workers
        self._setup = setup
        self._sock = sock
        self._where = where
        self._tell = tell
        self._clock: Clock = factory.system_clock()
        memory = shared(workers)
        self._rows = [Counters(memory, row) for row in range(workers)]
        self._figures = Metrics()
        self._metrics: MetricsSocket | None = None
        self._watched = _watched()

    def show_metrics(self, sock: socket.socket) -> None:
        """To whoever asks on the listening ``sock``."""
        self._metrics = MetricsSocket(sock, self._exposition)

    def run(self) -> int:
        # Held back until somebody handles them: whoever reads "serving" may send one at once.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            self._document = self._setup.source.load(self._clock.now())
            if self._workers == 1:
                return self._work(0)
            self._try_log()
            self._announce()
            places = [Place(row, self._heartbeat(row)) for row in range(self._workers)]
            return Supervisor(places, self._work, self._clock, self._tell, self._look).run()
        finally:
            _notify("STOPPING=1")

    def _try_log(self) -> None:
        """A wrong setting ends the start; what happens to the log later does not end the server."""
        clock, chance = self._clock, factory.system_chance()
        log = DayLog(self._setup.log, clock, chance, self._tell, log_line)
        for each in filter(None, (log, spool_log(self._setup, clock, chance, self._tell))):
            each.open(leftovers=False)
            each.close()

    def _heartbeat(self, row: int) -> Callable[[], int]:
        return lambda: self._rows[row].read()["heartbeat"]

    def _look(self) -> None:
        """Keeps the last good document, for a process that has to be started anew."""
        if self._setup.source.changed():
            with contextlib.suppress(MarsError):  # the processes tell what is wrong with it
                self._document = self._setup.source.load(self._clock.now())
        self._beat()

    def _work(self, row: int, parent: int | None = None) -> int:
        """What a process does, be it ours or a child of a ``parent``; its exit code."""
        counters, chance = self._rows[row], factory.system_chance()
        counters.set("heartbeat", 0)  # that of a process which was here before
        worker = Worker(self._setup, self._clock, chance, counters, self._tell, first=row == 0)
        beat = self._beat if parent is None else None
        try:
            worker.open()
            if parent is None:
                self._announce()
            return int(not asyncio.run(worker.run(self._sock, self._document, parent, beat)))
        except MarsError as error:
            self._tell(str(error))
            return 1

    def _announce(self) -> None:
        processes = f" with {self._workers} processes" if self._workers > 1 else ""
        text = f"serving serial {self._document.motd.serial} on {self._where}{processes}"
        self._tell(text)
        _notify(f"READY=1\nSTATUS={text}")

    def _beat(self) -> None:
        """Twice a second or so: the metrics, and a sign of life. Of several processes each that
        hangs is replaced by the supervisor, which gives its own."""
        if self._metrics is not None:
            self._metrics.answer()
        if self._watched:
            _notify("WATCHDOG=1")

    def _exposition(self) -> bytes:
        rows = [row.read() for row in self._rows]
        return self._figures.exposition(rows, self._clock.monotonic(), self._disk_free())

    def _disk_free(self) -> float | None:
        """None where it cannot be asked, which is told by other metrics."""
        folders = filter(None, (self._setup.log, self._setup.spool))
        try:
            return hundredths(fullest(folders))
        except OSError:
            return None
