"""``Mars``: what a desktop application embeds. A thread that stays out of the host's way."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mars import consent, factory
from mars.engine import FETCHER_LOCK, Engine, Ports
from mars.errors import ConfigError, ConsentError, MarsError, StateError, starting_thread
from mars.pinned import Pinned, read_bytes
from mars.plan import App, Plan, no_server
from mars.ports import TorSettings
from mars.problems import Problems
from mars.routed import opener
from mars.schedule import LONGEST_SLEEP
from mars.switches import Consent, granted
from mars.wire.times import LAST

if TYPE_CHECKING:
    from mars.ports import Chance, Clock, Fetcher, OpenPGP, Platform, Store
    from mars.reading import Reading
    from mars.state import State
    from mars.wire.targeting import Shown

T = TypeVar("T")
Show = Callable[["Shown"], object]

JOIN = 0.5
"""Seconds that ``stop`` waits for a thread that is not in the middle of a fetch."""


class Mars:
    """The client of one application.

    ``trust`` is the content of the pinned ``trust.json``, or the path of that file. ``languages``
    are those the application ships, ``locale`` the one it is shown in (else the system's).
    ``ceiling`` is the most it ever wants; ``dispatch`` runs callbacks in the host's own thread,
    such as ``lambda call: root.after(0, call)``; ``socks`` names Tor's port (else it is found),
    ``tor`` says more of it; ``on_turn`` is called in the thread after each look. The
    remaining arguments replace what the system provides.

    No method raises into the host: what is wrong stands in ``status()``. With ``debug`` mistakes
    of the developer raise ``ConfigError``.
    """

    def __init__(
        self,
        product: str,
        version: str,
        trust: bytes | str | os.PathLike[str],
        languages: Sequence[str] = ("en",),
        *,
        locale: str = "",
        url: str = "",
        ceiling: str = consent.TRACKED,
        socks: str = "",
        tor: TorSettings | None = None,
        dispatch: Callable[[Callable[[], None]], object] | None = None,
        on_turn: Callable[[Mars], object] | None = None,
        debug: bool = False,
        folder: str | os.PathLike[str] | None = None,
        store: Store | None = None,
        host: Platform | None = None,
        clock: Clock | None = None,
        chance: Chance | None = None,
        fetcher: Callable[[Plan], Fetcher] | None = None,
        openpgp: Callable[[], OpenPGP] | None = None,
    ) -> None:
        self._problems = Problems(debug)
        self._unshown: dict[str, Shown] = {}
        self._shows: list[Show] = []
        self._dispatch = dispatch or _at_once
        self._on_turn = on_turn
        self._holder = False
        self._thread: threading.Thread | None = None
        self._ending: threading.Thread | None = None
        self._reset_signals()
        attempt = self._problems.attempt
        pinned, known = attempt("trust", lambda: _pinned(trust, product), (b"", Pinned()))
        machine = host or factory.this_host()
        path = attempt("folder", lambda: _folder(folder, machine, product, known), "")
        app = attempt(
            "Mars",
            lambda: App(
                product=str(product),
                version=str(version),
                url=str(url or known.url),
                languages=tuple(languages or ()),
                locale=str(locale),
                ceiling=consent.cap("application", ceiling),
                built=known.built,
            ),
            App("", "", ""),
        )
        settings = attempt("tor", lambda: _tor(tor, socks, path), TorSettings())
        attempt("socks", lambda: factory.require_socks(settings.socks), None)
        self._clock = clock or factory.system_clock()
        self._engine: Engine = Engine(
            app,
            pinned,
            Ports(
                store=store or factory.folder(path, self._problems.last),
                host=machine,
                clock=self._clock,
                chance=chance or factory.system_chance(),
                fetcher=fetcher or opener(settings),
                openpgp=openpgp or factory.openpgp,
            ),
        )
        self.consent = Consent(self._engine, self._wake.set, self._problems)
        _alive.add(self)

    # --- what the host calls ----------------------------------------------------------------

    def on_motd(self, show: Show) -> Show:
        """Calls ``show(message)`` once for each new message; usable as a decorator.

        ``message`` has ``title``, ``text``, ``url``, ``kind`` (news, update, security) and
        ``severity`` (info, warning, critical); critical ones may be shown as an alert.
        """
        self._shows.append(show)
        self._wake.set()
        return show

    def start(self) -> None:
        """Starts the thread; returns at once. Calling it twice does nothing."""
        self._problems.attempt("start", self._start, None)

    def _start(self) -> None:
        if self._is_alive():
            return
        self._stopping, self._busy = threading.Event(), False
        self._thread = threading.Thread(
            target=self._run, args=(self._stopping, self._ending), name="mars", daemon=True
        )
        try:
            with starting_thread():
                self._thread.start()
        except MarsError:
            self._thread = None
            raise
        self._ending = None

    def _is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Ends the thread; returns at once even in the middle of a fetch."""
        self._problems.attempt("stop", self._stop, None)

    def _stop(self) -> None:
        thread, self._thread = self._thread, None
        self._stopping.set()
        self._wake.set()
        if thread is not None:
            self._ending = thread
            if thread is not threading.current_thread():
                thread.join(JOIN if not self._busy else 0)
        unshown, self._unshown = self._unshown, {}
        self._engine.give_back(unshown.values())

    def motd(self) -> Reading | None:
        """The last accepted news, as meant for this installation; None if there is none."""
        engine = self._engine
        return self._problems.attempt("state", lambda: engine.reading(engine.load()), None)

    def preview(
        self,
        level: str | None = None,
        variables: Collection[str] | None = None,
        country: str | None = None,
        *,
        stats: bool | None = None,
        errors: bool | None = None,
        direct: bool | None = None,
    ) -> Plan | None:
        """The next request (``bytes``, ``url``, ``values``), and the ``direct`` one that goes where
        there is no Tor, if any; None where nothing would be sent.

        With ``level`` the request as it would be if the user now chose so: all arguments mean what
        they mean to ``consent.grant``, and what that refuses gives None. Nothing is stored. Why it
        is None, ``status()`` says: by ``level`` and ``decided_by``, or by ``problem``.
        """
        attempt, chosen = self._problems.attempt, (variables, stats, errors, direct, country)
        state = attempt("state", self._engine.load, None)
        if state is None:
            return None
        return attempt("preview", lambda: self._preview(state, level, *chosen), None)

    def _preview(self, state: State, level: str | None, *chosen: Any) -> Plan | None:
        with contextlib.suppress(ConsentError):  # as where half a country is typed
            if level is not None:
                state = granted(state, self._clock.now(), level, *chosen)
            with contextlib.suppress(MarsError):
                return self._engine.plan(state, self._engine.voice(state))
        return None

    def check_now(self) -> bool:
        """Asks for a check in the background: plain, at most once an hour.

        False where that may not be now; ``status()["check"]`` says why.
        """
        if self.status().get("check", "unknown"):
            return False
        self._checking = True
        self._wake.set()
        return True

    def look(self) -> None:
        """Looks at once whether something has changed, such as a decision made elsewhere."""
        self._wake.set()

    def status(self) -> dict[str, Any]:
        """Where things stand, in plain values that fit into JSON."""
        from mars.outcome import sentence
        from mars.status import status

        table: dict[str, Any] = {}
        table = self._problems.attempt("status", lambda: status(self._engine), table)
        if not table.get("problem"):
            self._problems.hold("state", None)
        table["running"] = self._is_alive()
        if not table["running"]:
            table["check"] = {"reason": "not-running", "message": "Call start() first."}
        table["fetching_here"] = self._holder
        self._problems.hold("fetch", self._engine.refused)
        self._problems.hold("damage", self._engine.damage)
        problem = self._problems.last or (None if table.get("server") else no_server())
        if problem is not None:
            table["problem"] = {"reason": problem.reason, "message": sentence(problem)}
        return table

    def journal(self) -> list[dict[str, Any]]:
        """What was sent, by which route, and what came back; oldest first."""
        none: list[dict[str, Any]] = []
        return self._problems.attempt("journal", self._engine.journal, none)

    def reset_age(self, installed: int | None = None) -> None:
        """Sets the date of installation: today, or the day of ``installed`` (Unix time)."""
        self._problems.attempt("reset_age", lambda: self._reset_age(installed), None)

    def _reset_age(self, installed: int | None) -> None:
        if not (installed is None or (type(installed) is int and 0 <= installed <= LAST)):
            raise ConfigError("bad-time", "Give the date of installation as Unix time, an int.")
        self._engine.set_installed(installed)

    # --- the thread -------------------------------------------------------------------------

    def _run(self, stopping: threading.Event, before: threading.Thread | None) -> None:
        """``before`` is a thread that was told to stop and may still be in the middle of a fetch:
        there is never more than one that fetches."""
        if before is not None:
            before.join()
        self._engine.halted = stopping.is_set
        with contextlib.ExitStack() as held:
            held.callback(setattr, self, "_holder", False)
            ran: int | None = None
            while not stopping.is_set():
                self._wake.clear()
                first = ran is None or not self._holder
                sleep = self._turn(held, None if first else ran)
                ran = 0
                if stopping.is_set():
                    break
                started = self._clock.monotonic()
                self._wake.wait(sleep)
                # A clock that ran on in suspend must not count as running time.
                ran = min(int(self._clock.monotonic() - started), sleep)
            if self._holder:
                self._survive("fetching", lambda: self._engine.rest(ran), None)

    def _survive(self, what: str, do: Callable[[], T], otherwise: T) -> T:
        return self._problems.attempt(what, do, otherwise, thread=True)

    def _turn(self, held: contextlib.ExitStack, ran: int | None) -> int:
        """One turn of the loop; nothing that it calls may end the thread."""
        self._busy = True
        sleep = self._survive("fetching", lambda: self._step(held, ran), LONGEST_SLEEP)
        if self._checking:
            self._checking = False
            self._survive("check", self._engine.check, None)
        self._problems.hold("fetch", self._engine.refused)
        self._survive("news", self._deliver, None)
        if self._on_turn is not None:
            self._survive("on_turn", partial(self._on_turn, self), None)
        self._busy = False
        return sleep

    def _step(self, held: contextlib.ExitStack, ran: int | None) -> int:
        return self._engine.step(ran) if self._acquire(held) else LONGEST_SLEEP

    def _acquire(self, held: contextlib.ExitStack) -> bool:
        """Whether this process is the one that fetches; another one is asked again hourly."""
        if not self._holder:
            self._engine.load()  # in a folder whose state is another user's no lock is left behind
            try:
                held.enter_context(self._engine.ports.store.lock(FETCHER_LOCK))
            except StateError as error:
                if error.reason != "locked":
                    raise
                return False
            self._holder = True
        return True

    def _deliver(self) -> None:
        if not self._shows or self._engine.load().document is None:
            return
        messages = self._engine.claim()
        self._unshown |= {message.id: message for message in messages}
        try:
            for message in messages:
                for show in self._shows:
                    self._dispatch(partial(self._call, show, message))
        except BaseException:
            # A host that is closing down takes no more calls: the next start shows them.
            unshown, self._unshown = self._unshown, {}
            self._engine.give_back(unshown.values())
            raise

    def _call(self, show: Show, message: Shown) -> None:
        self._unshown.pop(message.id, None)
        ours = threading.current_thread() in (self._thread, self._ending)
        call = partial(_call, show, message, ours)
        self._problems.attempt(f"on_motd {id(show)}", call, None, thread=ours)

    def _reset_signals(self) -> None:
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._ending = None
        self._checking = False
        self._busy = False

    def _forked(self) -> None:
        """In the child of a fork there is no thread, and the lock is still the parent's."""
        self._thread = None
        self._holder = False
        self._reset_signals()
        self.consent.wake = self._wake.set


_alive: weakref.WeakSet[Mars] = weakref.WeakSet()


def _after_fork() -> None:
    for mars in list(_alive):
        mars._forked()


def _at_exit() -> None:
    """For hosts that never call ``stop``: what is left of an overdue wait is kept all the same."""
    for mars in list(_alive):
        mars.stop()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _call(show: Show, message: Shown, ours: bool) -> None:
    """``sys.exit()`` ends the host's own thread, as the host wants it, and never ``ours``."""
    try:
        show(message)
    except BaseException as error:
        if not (ours or isinstance(error, Exception)):
            raise
        raise MarsError("callback", f"on_motd raised {type(error).__name__}.") from None


def _pinned(trust: bytes | str | os.PathLike[str], product: str) -> tuple[bytes, Pinned]:
    data = read_bytes(trust)
    return data, Pinned.of(data, product)


def _folder(
    given: str | os.PathLike[str] | None, machine: Platform, product: str, known: Pinned
) -> str:
    return os.fsdecode(given or "") or factory.state_folder(machine, product, known.channel)


def _tor(settings: TorSettings | None, socks: str, path: str) -> TorSettings:
    """With a place for a tor of our own, which is started only where none runs."""
    given = settings or TorSettings()
    place = str(Path(path) / "tor") if path else None
    return replace(given, socks=given.socks or socks or None, folder=given.folder or place)


def _at_once(call: Callable[[], None]) -> None:
    call()
