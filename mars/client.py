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
from typing import TYPE_CHECKING, Any

from mars import consent, factory
from mars.engine import FETCHER_LOCK, Engine, Ports
from mars.errors import ConfigError, MarsError, StateError
from mars.opening import opener
from mars.pinned import Pinned, read_bytes
from mars.plan import App, Plan, no_server
from mars.ports import TorSettings
from mars.schedule import LONGEST_SLEEP
from mars.switches import Consent, granted

if TYPE_CHECKING:
    from mars.ports import Chance, Clock, Fetcher, OpenPGP, Platform, Store
    from mars.reading import Reading
    from mars.wire.targeting import Shown

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
        folder: str | os.PathLike[str] = "",
        store: Store | None = None,
        host: Platform | None = None,
        clock: Clock | None = None,
        chance: Chance | None = None,
        fetcher: Callable[[Plan], Fetcher] | None = None,
        openpgp: Callable[[], OpenPGP] | None = None,
    ) -> None:
        self._debug = debug
        self._fault: MarsError | None = None
        self._problem: MarsError | None = None
        self._unshown: dict[str, Shown] = {}
        self._shows: list[Show] = []
        self._dispatch = dispatch or _at_once
        self._on_turn = on_turn
        self._holder = False
        self._thread: threading.Thread | None = None
        self._ending: threading.Thread | None = None
        self._reset_signals()
        pinned, known = b"", Pinned()
        try:
            pinned = read_bytes(trust)
            known = Pinned.of(pinned, product)
        except MarsError as error:
            self._fault = error
            self._note(error)
        machine = host or factory.this_host()
        path = os.fspath(folder) or factory.state_folder(machine, product, known.channel)
        app = App(
            product=product,
            version=version,
            url=url or known.url,
            languages=tuple(languages or ()),
            locale=locale,
            ceiling=consent.cap("application", ceiling),
            built=known.built,
        )
        self._clock = clock or factory.system_clock()
        self._engine: Engine = Engine(
            app,
            pinned,
            Ports(
                store=store or factory.folder(path),
                host=machine,
                clock=self._clock,
                chance=chance or factory.system_chance(),
                fetcher=fetcher or opener(_tor(tor, socks, path)),
                openpgp=openpgp or factory.openpgp,
            ),
        )
        self.consent = Consent(self._engine, self._wake.set, self._note)
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
        if self._thread is None:
            before, self._ending = self._ending, None
            self._stopping = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._stopping, before), name="mars", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread; returns at once even in the middle of a fetch."""
        thread, self._thread = self._thread, None
        self._stopping.set()
        self._wake.set()
        if thread is not None:
            self._ending = thread
            if thread is not threading.current_thread():
                thread.join(JOIN if not self._busy else 0)
        unshown, self._unshown = self._unshown, {}
        with contextlib.suppress(MarsError):
            self._engine.give_back(unshown.values())

    def motd(self) -> Reading | None:
        """The last accepted news, as meant for this installation; None if there is none."""
        try:
            return self._engine.reading(self._engine.load())
        except MarsError as error:
            self._note(error)
            return None

    def preview(
        self, level: str | None = None, variables: Collection[str] | None = None, country: str = ""
    ) -> Plan | None:
        """The next request (``bytes``, ``url``, ``values``); None where nothing would be sent.

        Why, ``status()`` says: by ``level`` and ``decided_by``, or by ``problem``.
        With ``level`` and what goes with it: the request as it would be if the user now chose so,
        for a consent screen. Nothing is stored.
        """
        try:
            state = self._engine.load()
            if level is not None:
                now = self._clock.now()
                state = granted(state, now, level, variables, country=country or None)
            return self._engine.plan(state, self._engine.voice(state))
        except MarsError:
            return None
        except (TypeError, ValueError, AttributeError) as error:
            self._mistake("preview", error)
            return None

    def check_now(self) -> bool:
        """Asks for a check in the background: plain, at most once an hour.

        False where it is too early for another, nothing may be sent, or the thread does not run.
        """
        if self._thread is None or not self._engine.may_check():
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

        table = status(self._engine)
        table["running"] = self._thread is not None
        table["fetching_here"] = self._holder
        problem = (
            self._problem or self._engine.refused or (None if table["server"] else no_server())
        )
        table["problem"] = problem and {"reason": problem.reason, "message": sentence(problem)}
        return table

    def journal(self) -> list[dict[str, Any]]:
        """What was sent, by which route, and what came back; oldest first."""
        return self._engine.journal()

    def reset_age(self, installed: int | None = None) -> None:
        """Sets the date of installation: today, or the day of ``installed`` (Unix time)."""
        if installed is not None and type(installed) is not int:
            self._note(
                ConfigError("bad-time", "Give the date of installation as Unix time, an int.")
            )
            return
        with contextlib.suppress(StateError):
            self._engine.set_installed(installed)

    # --- the thread -------------------------------------------------------------------------

    def _run(self, stopping: threading.Event, before: threading.Thread | None) -> None:
        """``before`` is a thread that was told to stop and may still be in the middle of a fetch:
        there is never more than one that fetches."""
        if before is not None:
            before.join()
        self._engine.halted = stopping.is_set
        with contextlib.ExitStack() as held:
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
                with contextlib.suppress(MarsError):
                    self._engine.rest(ran)
            self._holder = False

    def _turn(self, held: contextlib.ExitStack, ran: int | None) -> int:
        """One turn of the loop; nothing that it calls may end the thread."""
        sleep = LONGEST_SLEEP
        self._busy = True
        try:
            if self._acquire(held):
                sleep = self._engine.step(ran)
            if self._checking:
                self._checking = False
                self._engine.check()
            self._problem = self._fault
            self._deliver()
            if self._on_turn is not None:
                self._on_turn(self)
        except MarsError as error:
            self._problem = error
        except Exception as error:  # noqa: BLE001 - the host must never feel our mistakes
            self._problem = MarsError("internal", f"An error of ours ({type(error).__name__}).")
        finally:
            self._busy = False
        return sleep

    def _acquire(self, held: contextlib.ExitStack) -> bool:
        """Whether this process is the one that fetches; another one is asked again hourly."""
        if not self._holder:
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
        except Exception:
            # A host that is closing down takes no more calls: the next start shows them.
            unshown, self._unshown = self._unshown, {}
            self._engine.give_back(unshown.values())
            raise

    def _call(self, show: Show, message: Shown) -> None:
        self._unshown.pop(message.id, None)
        try:
            show(message)
        except Exception as error:  # noqa: BLE001 - a callback's mistake is the host's, not ours
            self._problem = MarsError("callback", f"on_motd raised {type(error).__name__}.")

    def _note(self, error: MarsError) -> None:
        self._problem = error
        if self._debug and isinstance(error, ConfigError):
            raise error

    def _mistake(self, what: str, error: Exception) -> None:
        self._note(ConfigError("wrong-call", f"{what} was called wrongly ({error})."))

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


def _tor(settings: TorSettings | None, socks: str, path: str) -> TorSettings:
    """With a place for a tor of our own, which is started only where none runs."""
    given = settings or TorSettings()
    return replace(
        given, socks=given.socks or socks or None, folder=given.folder or str(Path(path) / "tor")
    )


def _at_once(call: Callable[[], None]) -> None:
    call()
