"""Keeps a server running: a tor, the serving process, and the jobs, one at a time."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from mars import factory
from mars.errors import MarsError, StateError
from mars.ports import Clock, TorProcess, TorSettings
from mars.wire.torrc import quote
from mars_server.common.calendar import due, utc_day, week_of
from mars_server.common.config import Config, load_product
from mars_server.onion.control import connected, ensure, for_publisher, unnamed
from mars_server.onion.folder import hostname
from mars_server.serving.bind import parse_bind
from mars_server.serving.launch import onion_settings
from mars_server.up import children
from mars_server.up.schedule import Job, Schedule, jobs
from mars_server.up.setup import RUN, SETTINGS, TOR, Place

LOOK = 0.5
"""Seconds between two looks at everything."""
PAUSE = 5.0
"""Seconds before what ended is started again; doubled up to ``LONGEST_PAUSE``."""
LONGEST_PAUSE = 300.0
STABLE = 60.0
"""Seconds after which a start was a good one."""
GRACE = 4.0
"""Seconds for processes to end; then tor has five more."""
CONTROL = 30.0
"""Seconds in which a tor that was started opens its control port."""
_JOB_NICE = 10

Tell = Callable[[str], None]


@contextlib.contextmanager
def alone(data: Path) -> Iterator[None]:
    """Raises ``StateError`` (``locked``) where another one runs on this folder."""
    with open(data / RUN / "lock", "w") as lock:  # noqa: PTH123 - of a path that we made
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StateError(
                "locked", f"mars-server up runs in {data} already; end that one first."
            ) from None
        yield


@dataclass
class Turns:
    """When what ended may be started again."""

    clock: Clock
    started: float = 0.0
    pause: float = PAUSE
    next: float = 0.0

    def begun(self) -> None:
        self.started = self.clock.monotonic()

    def ended(self) -> float:
        """Seconds until the next start."""
        now = self.clock.monotonic()
        self.pause = PAUSE if now - self.started > STABLE else min(2 * self.pause, LONGEST_PAUSE)
        self.next = now + self.pause
        return self.pause

    def may_start(self) -> bool:
        return self.clock.monotonic() >= self.next


@dataclass
class Up:
    """Everything of one folder. ``extra`` are torrc lines for a tor of our own."""

    data: Path
    config: Config
    place: Place
    tell: Tell
    show: Callable[..., None]
    """For what the operator asked for, as a document and as lines."""
    clock: Clock
    extra: tuple[str, ...] = ()
    _tor: TorProcess | None = None
    _serving: subprocess.Popen[bytes] | None = None
    _job: tuple[Job, subprocess.Popen[bytes]] | None = None
    _told: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        file = str(self.data / SETTINGS)
        self.schedule = Schedule(jobs(self.config, file))
        self._tor_turns, self._serve_turns = Turns(self.clock), Turns(self.clock)
        self._stop = threading.Event()

    def run(self) -> int:
        """Until SIGTERM or SIGINT; 0 where every log is complete. Raises ``MarsError`` before
        anything runs."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ended)
        signal.signal(signal.SIGHUP, self._read_again)
        try:
            self._start_tor()
            self._add_onion()
            self._announce()
            while not self._stop.wait(LOOK):
                self._look()
        finally:
            code = self._end()
        return code

    def _ended(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _read_again(self, _number: int, _frame: FrameType | None) -> None:
        if self._serving is not None:
            self._serving.send_signal(signal.SIGHUP)

    def _look(self) -> None:
        self._keep_tor()
        self._keep_serving()
        self._keep_jobs()

    # --- tor ----------------------------------------------------------------------------------

    def _start_tor(self) -> None:
        if not self.place.is_ours:
            return
        control = self.place.control.removeprefix("unix:")
        ports = (f"ControlSocket {quote(control)}", f"SocksPort {self.place.socks}")
        settings = TorSettings(extra=(*ports, *self.extra))
        self._tor = factory.own_tor(settings, str(self.data / TOR))
        self._tor_turns.begun()

    def _add_onion(self) -> None:
        """Asks until a tor that has just begun answers. Raises ``MarsError``."""
        end = self.clock.monotonic() + CONTROL
        settings = onion_settings(self.config, parse_bind(self.config.bind))
        password = self.config.onion.control_password_file
        while not self._stop.is_set():
            try:
                ensure(settings, self.place.control, password)
            except MarsError:
                late = self.clock.monotonic() > end
                if late or self._tor is None or not self._tor.is_running():
                    raise
                self._stop.wait(LOOK)
            else:
                return

    def _keep_tor(self) -> None:
        if self._tor is None:
            return
        if not self._tor.is_running():
            if self._tor_turns.started:
                pause = self._tor_turns.ended()
                self.tell(
                    f"tor ended (its log: {self.data / TOR / 'tor.log'}); again in {pause:.0f} s"
                )
                self._tor_turns.started = 0.0
            elif self._tor_turns.may_start():
                with contextlib.suppress(MarsError):
                    self._start_tor()
            return
        if "connected" not in self._told:
            with contextlib.suppress(MarsError), connected(self.place.control) as tor:
                if "PROGRESS=100" in tor.info("status/bootstrap-phase"):
                    self._told["connected"] = ""
                    self.tell("tor is connected")

    # --- what the operator is told ------------------------------------------------------------

    def _announce(self) -> None:
        told, lines = self.announcement()
        if told["address"] is None:
            self.tell(unnamed(str(self.place.onion)))
        self.show({"ok": True, **told}, *lines)

    def announcement(self) -> tuple[dict[str, object], list[str]]:
        """What the operator must know, for programs and as lines: the address, what the publisher
        does with it, what is missing, and when the first figures come."""
        name = hostname(str(self.place.onion))
        missing, figures = self.missing(), self._first_figures()
        lines = [f"http://{name}"] if name else []
        if name and f"http://{name}" not in load_product(self.config.product).servers:
            lines.append(for_publisher(name))
        lines += [f"waiting for {file}: {what}" for file, what in missing.items()]
        lines.append(
            f"the first figures are of {figures[0]}, and come on {figures[1]} at the earliest"
        )
        told = {"address": name and f"http://{name}", "missing": [*missing]}
        return {**told, "first_week": figures[0], "first_figures": figures[1]}, lines

    def missing(self) -> dict[str, str]:
        """Files that the publisher still has to hand over, with how each is made."""
        wanted = {
            self.config.motd: "the signed document (mars-motd sign)",
            self.config.trust: "what clients pin (mars-motd trust)",
        }
        return {file: what for file, what in wanted.items() if file and not Path(file).exists()}

    def _first_figures(self) -> tuple[str, str]:
        """The week that begins everything, and the day on which it can be published."""
        first = week_of(utc_day(self.clock.now()))
        return first, due(first).isoformat()

    # --- serving ------------------------------------------------------------------------------

    def _keep_serving(self) -> None:
        process = self._serving
        if process is not None and process.poll() is not None:
            self._serving = None
            pause = self._serve_turns.ended()
            self.tell(f"the server ended with code {process.returncode}; again in {pause:.0f} s")
        if self._serving is None and self._serve_turns.may_start() and not self.missing():
            self._serve_turns.begun()
            self._serving = children.start(("serve", "--config", str(self.data / SETTINGS)))

    # --- jobs ---------------------------------------------------------------------------------

    def _keep_jobs(self) -> None:
        if self._job is not None:
            job, process = self._job
            code = process.poll()
            if code is None:
                return
            self._job = None
            self.schedule.ended(job, self.clock.now(), well=code == 0)
            if code:
                again = "" if job.tells else "; again in an hour"
                self.tell(f"{job.name} ended with code {code}{again}")
        if self._serving is None or not any(Path(self.config.log).glob("*")):
            return
        job_due = self.schedule.due(self.clock.now())
        if job_due is not None:
            self.tell(f"{job_due.name} begins")
            self._job = job_due, children.start(job_due.words, _JOB_NICE)

    # --- the end ------------------------------------------------------------------------------

    def _end(self) -> int:
        """The exit code: that of the server, whose logs are complete where it is 0."""
        running = [self._serving] if self._serving is not None else []
        job = [self._job[1]] if self._job is not None else []
        codes = children.end([*running, *job], GRACE)
        if self._tor is not None:
            self._tor.close()
        return codes[0] if running else 0
