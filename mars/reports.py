"""``mars.reports`` of an application: faults that it meets, and what its user does with the reports
of them."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mars.channels.filing import Filing
from mars.channels.own_reports import OwnReports
from mars.channels.queue import CROWD
from mars.channels.sealing import MEANING
from mars.consent.purposes import NEVER
from mars.core.thread import called
from mars.errors import WireError

if TYPE_CHECKING:
    import logging
    from asyncio import AbstractEventLoop

    from mars.channels.news import NewsClient
    from mars.core.thread import Problems
    from mars.faults.capture import Capture
    from mars.faults.hooks import Hooks

Told = Callable[[dict[str, Any]], object]


class Toolkit(NamedTuple):
    """``mars.tk`` and ``mars.qt``."""

    install: Callable[..., None]
    """As ``Reports.tk`` and ``Reports.qt``."""


class Reports:
    """What fails is in ``status()``, as with ``Mars`` itself."""

    meaning = MEANING
    """What each way to send a report means, in sentences for the screen where a user chooses."""

    def __init__(
        self,
        client: NewsClient,
        wake: Callable[[], None],
        problems: Problems,
        dispatch: Callable[[Callable[[], None]], object],
        modules: Callable[[], Collection[str]],
        ignored: Iterable[str] = (),
    ) -> None:
        """``modules`` are the application's own, ``ignored`` its rules for what is no fault of its
        own."""
        self._client = client
        self._own = OwnReports(client)
        self._filing = Filing(client, client.queue)
        self._wake = wake
        self._problems = problems
        self._attempt = problems.attempt
        self._dispatch = dispatch
        self._modules = modules
        self._ignored = tuple(ignored)
        self._hooks: Hooks | None = None
        self._capture: Capture | None = None
        self._told: list[Told] = []

    # --- for the developer ------------------------------------------------------------------

    def handler(self, level: int | str = 40) -> logging.Handler:
        """For any logger: makes reports of what is logged with an exception at that level
        (``logging.ERROR``) or above."""
        return self._capturing().handler(level)

    def report(self, error: BaseException) -> None:
        """Makes a report of an exception that the application caught and knows for a fault."""
        self._attempt("report", lambda: self._capturing().report(error), None)
        self._wake()

    def install(
        self,
        *,
        sys: bool = True,
        threads: bool = True,
        unraisable: bool = True,
        asyncio: AbstractEventLoop | None = None,
    ) -> None:
        """Makes reports of what nobody caught, there where each is True, and in the tasks of a
        loop. What others have hooked is called as before."""
        wanted = {"sys": sys, "threads": threads, "unraisable": unraisable, "asyncio": asyncio}
        self._attempt("install", lambda: self._hooking().install(**wanted), None)  # type: ignore[arg-type]

    def tk(self, root: Any) -> None:
        """And of what is raised in callbacks of a ``tkinter.Tk``."""
        self._attempt("install", lambda: self._hooking().tk(root), None)

    def qt(self) -> None:
        """And of what is raised in slots of PyQt, which then no longer ends the program by it."""
        self._attempt("install", lambda: self._hooking().qt(), None)

    def uninstall(self) -> None:
        """Takes each hook out where it is still there."""
        if self._hooks is not None:
            self._attempt("install", self._hooks.uninstall, None)

    def on_known(self, told: Told) -> Told:
        """Calls ``told(report)``, an entry of ``list()``, once for each answer to a report and for
        each fault that is known, also before anything was sent; usable as a decorator. ``help``
        says what to do, and is None where the publisher says nothing of that."""
        self._told.append(told)
        self._wake()
        return told

    # --- for the user -----------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """``never``, ``ask`` (each report is shown and released by hand) or ``always``."""
        return self._attempt("reports", self._mode, NEVER)

    def _mode(self) -> str:
        return self._client.voice(self._client.load()).reports

    def list(self) -> builtins.list[dict[str, Any]]:
        """All reports of this computer, the oldest first (``OwnReports.listed``)."""
        return self._attempt("reports", self._own.listed, [])

    def show(self, which: str | int) -> dict[str, Any] | None:
        """One of them by number, GUID or id; None where there is none."""
        return self._attempt("show report", lambda: self._own.show(str(which)), None)

    def preview(self, which: str | int, way: str = CROWD, message: str | None = None) -> str | None:
        """The exact text that is sealed if it is sent that way; None where nothing could be. A
        crowd report takes 0.1 s of a core to make."""
        return self._attempt(
            "preview report", lambda: self._own.text(str(which), way, message), None
        )

    def send(self, which: str | int, way: str = CROWD, message: str = "") -> bool:
        """Releases one: it goes at a time within the next 7 days. ``message`` is the user's own,
        typed by hand, and goes in a direct report alone. Whether that is kept."""

        def release() -> bool:
            self._own.release(str(which), way, message)
            self._wake()
            return True

        return self._attempt("send report", release, False)

    def forget(self, which: str | int) -> str:
        """``removed`` where it is gone, ``asked`` where its deletion is asked for, which goes
        within 30 days, also after consent was withdrawn; empty where neither could be kept."""
        return self._attempt("forget report", lambda: self._own.forget(str(which)), "")

    def export(self) -> builtins.list[dict[str, Any]]:
        """All that is kept of them."""
        return self._attempt("reports", self._own.export, [])

    def status(self) -> dict[str, Any]:
        """Of ``Mars.status()``: mode, how many reports there are, and deletions that did not go
        yet."""
        kept = self.list()
        damage = self._client.queue.damage
        return {
            "mode": self.mode,
            "kept": len(kept),
            "queued": sum(one["state"] == "queued" and not one["released"] for one in kept),
            "deletions": sum(one["deletion"] == "asked" for one in kept),
            "problem": damage and damage.plain(),
        }

    # --- in the thread ----------------------------------------------------------------------

    def note(self) -> None:
        """Tells what the publisher says of a report, once."""
        tells, none = bool(self._told), builtins.list[dict[str, Any]]()
        for report in self._attempt("reports", lambda: self._own.learn(telling=tells), none):
            for told in self._told:
                self._dispatch(partial(self._call, told, report))

    def _call(self, told: Told, report: dict[str, Any]) -> None:
        self._attempt(f"on_known {id(told)}", lambda: called("on_known", told, report), None)

    # --- inside -----------------------------------------------------------------------------

    def _capturing(self) -> Capture:
        if self._capture is None:
            from mars.faults.capture import Capture  # late: it loads OpenSSL

            modules, take = self._modules(), self._filing.take
            try:
                self._capture = Capture(take, modules, self._ignored)
            except WireError as error:
                self._problems.hold("ignored", error)
                self._capture = Capture(take, modules)
        return self._capture

    def _hooking(self) -> Hooks:
        if self._hooks is None:
            from mars.faults.hooks import Hooks

            self._hooks = Hooks(self._capturing())
        return self._hooks
