"""Puts a server together: from what the operator set to processes that serve."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
from collections.abc import Callable, Mapping
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
from mars_server.serving.bind import Bind, allowed_hosts, bound, listen, mark, parse_bind, remove
from mars_server.serving.logline import log_line
from mars_server.serving.motd_source import MotdSource, ServedMotd
from mars_server.serving.prometheus import Counters, Metrics, MetricsSocket, shared
from mars_server.serving.supervisor import STOPPING, Place, Supervisor, Tell
from mars_server.serving.worker import Setup, Worker

# --- The few words of systemd's notification protocol (sd_notify(3)) over its datagram socket ---


class _Notify:
    """Says nothing where the service manager did not ask for it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        usec = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog = int(usec) / 1e6 if usec.isdigit() and mine else 0.0
        """Seconds within which a sign of life is wanted, 0 for never."""

    def tell(self, text: str) -> None:
        if not self._address:
            return
        abstract = self._address.startswith("@")
        address = "\0" + self._address[1:] if abstract else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(text.encode(), address)


FILES_KEPT_FREE = 64
"""Descriptors for the log, the database, gpg and the listening sockets."""
_STALE_HEARTBEAT = 15.0
"""Seconds without a round of housekeeping after which a process counts as hung."""


def serve(config: Config, tell: Tell) -> int:
    """Serves until SIGTERM; 0 when every log is complete. Raises ``MarsError`` before it serves."""
    require_apart(config)
    address = parse_bind(config.bind)
    setup = _setup(config, address, tell)
    sock = listen(address)
    mine = mark(address.path)
    try:
        where = bound(address, sock)
        if config.onion.folder:
            setup = _with_onion(setup, config, where, tell)
        return _Server(config, setup, sock, str(where), tell).run()
    finally:
        sock.close()
        if address.path:
            remove(address.path, mine)


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
    need = wanted + FILES_KEPT_FREE
    if soft != resource.RLIM_INFINITY and soft < need:
        top = need if hard == resource.RLIM_INFINITY else min(need, hard)
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it; then fewer fit
            resource.setrlimit(resource.RLIMIT_NOFILE, (top, hard))
            soft = top
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - FILES_KEPT_FREE))


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
        self, config: Config, setup: Setup, sock: socket.socket, where: str, tell: Tell
    ) -> None:
        self._workers = config.workers
        self._setup = setup
        self._sock = sock
        self._where = where
        self._tell = tell
        self._clock: Clock = factory.system_clock()
        self._memory = shared(config.workers)
        self._rows = [Counters(self._memory, row) for row in range(config.workers)]
        self._notify = _Notify(os.environ)
        self._document: ServedMotd | None = None
        self._figures = Metrics()
        self._metrics = MetricsSocket(config.metrics, self._exposition) if config.metrics else None

    def run(self) -> int:
        # Held back until somebody handles them: whoever reads "serving" may send one at once.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            return self._run_one() if self._workers == 1 else self._run_many()
        finally:
            self._notify.tell("STOPPING=1")
            if self._metrics is not None:
                self._metrics.close()

    def _run_one(self) -> int:
        worker = self._worker(0)
        document = worker.start()
        self._announce(document.serial)
        return int(not asyncio.run(worker.run(self._sock, document, beat=self._beat)))

    def _run_many(self) -> int:
        self._document = self._setup.source.load(self._clock.now())
        self._try_log()
        self._announce(self._document.serial)
        places = [Place(row, self._heartbeat(row)) for row in range(self._workers)]
        return Supervisor(places, self._work, self._clock, self._tell, self._look).run()

    def _try_log(self) -> None:
        """A wrong setting ends the start; what happens to the log later does not end the server."""
        log = DayLog(self._setup.log, self._clock, factory.system_chance(), self._tell, log_line)
        log.open(leftovers=False)
        log.close()

    def _heartbeat(self, row: int) -> Callable[[], int]:
        return lambda: self._rows[row].read()["heartbeat"]

    def _look(self) -> None:
        """Keeps the last good document, for a process that has to be started anew."""
        if self._setup.source.changed():
            with contextlib.suppress(MarsError):  # the processes tell what is wrong with it
                self._document = self._setup.source.load(self._clock.now())
        self._beat()

    def _work(self, row: int, parent: int) -> int:
        try:
            self._rows[row].set("heartbeat", 0)  # that of a process which was here before
            worker = self._worker(row)
            document = worker.start(self._document)
            return int(not asyncio.run(worker.run(self._sock, document, parent)))
        except MarsError as error:
            self._tell(str(error))
            return 1

    def _worker(self, row: int) -> Worker:
        setup = self._setup if row == 0 else replace(self._setup, keep_onion=None)
        chance = factory.system_chance()
        return Worker(setup, self._clock, chance, self._rows[row], self._tell, first=row == 0)

    def _announce(self, serial: int) -> None:
        processes = f" with {self._workers} processes" if self._workers > 1 else ""
        text = f"serving serial {serial} on {self._where}{processes}"
        self._tell(text)
        self._notify.tell(f"READY=1\nSTATUS={text}")

    def _beat(self) -> None:
        """Twice a second or so: the metrics, and a sign of life if all are well."""
        if self._metrics is not None:
            self._metrics.answer()
        if not self._notify.watchdog:
            return
        now = self._clock.monotonic()
        beats = [row.read()["heartbeat"] for row in self._rows]
        if all(not beat or now - beat < _STALE_HEARTBEAT for beat in beats):
            self._notify.tell("WATCHDOG=1")

    def _exposition(self) -> bytes:
        rows = [row.read() for row in self._rows]
        return self._figures.exposition(rows, self._clock.monotonic())
