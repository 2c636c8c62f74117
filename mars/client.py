"""``Mars``: what a desktop application embeds. It stays out of the host's way."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from mars import consent, factory
from mars.build import ports
from mars.channels.motd import no_server
from mars.channels.news import NewsClient
from mars.consent import Choice
from mars.consent.api import Chosen, Consent
from mars.core.channel import Channel, NextRequest
from mars.core.state import App
from mars.core.thread import Background, Problems, called
from mars.errors import ConfigError, ConsentError, MarsError, TransportError
from mars.pinned import Pinned, read_bytes, read_registry
from mars.ports import TorSettings
from mars.providers import Collector, Isolate
from mars.reports import Reports, Toolkit
from mars.statistics import Statistics
from mars.streams import Streams
from mars.wire.times import LAST

if TYPE_CHECKING:
    from mars.channels.reading import Reading
    from mars.core.state import State
    from mars.failures.stream import Stream
    from mars.ports import Chance, Clock, Fetcher, OpenPGP, Platform, Store
    from mars.wire.targeting import Shown

Show = Callable[["Shown"], object]


class Mars:
    """The client of one application.

    ``trust`` is the content of the pinned ``trust.json``, or the path of that file. ``languages``
    are those the application ships, ``locale`` the one it is shown in (else the system's).
    ``ceiling`` is the most it ever wants; ``dispatch`` runs callbacks in the host's own thread,
    such as ``lambda call: root.after(0, call)``; ``socks`` names Tor's port (else it is found),
    ``tor`` says more of it; ``on_turn`` is called in the thread after each look; ``channels`` are
    further ones than the news; ``registry`` is the content (bytes) or the path of the
    ``registry.json`` that declares the application's statistics, ``plugins`` the names of installed
    ones that give values of these, True for all. ``modules`` are the application's own packages,
    whose frames an error report names (else the one of the caller), ``ignored`` rules for what is
    no fault of its own (``mars.wire.reports.rules``). The remaining arguments replace what the
    system provides.

    No method raises into the host: what is wrong stands in ``status()``. With ``debug`` mistakes
    of the developer raise ``ConfigError``; with ``raises``, meant for tests, what is wrong with
    providers of statistics is raised where it happens.
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
        channels: Sequence[Channel] = (),
        registry: bytes | str | os.PathLike[str] | None = None,
        plugins: bool | Collection[str] = False,
        modules: Collection[str] | None = None,
        ignored: Iterable[str] = (),
        debug: bool = False,
        folder: str | os.PathLike[str] | None = None,
        store: Store | None = None,
        host: Platform | None = None,
        clock: Clock | None = None,
        chance: Chance | None = None,
        fetcher: Callable[[NextRequest], Fetcher] | None = None,
        openpgp: Callable[[], OpenPGP] | None = None,
        isolate: Isolate | None = None,
        raises: bool = False,
    ) -> None:
        self._problems = Problems(debug)
        self._unshown: dict[str, Shown] = {}
        self._shows: list[Show] = []
        self._dispatch = dispatch or (lambda call: call())
        attempt = self._problems.attempt
        pinned, known = attempt("trust", lambda: _pinned(trust, product), (b"", Pinned()))
        broken = None if known.product else self._problems.last
        machine = host or factory.this_host()
        path = attempt("folder", lambda: _folder(folder, machine, product, known, broken), "")
        missing = self._problems.last
        attempt("ceiling", lambda: consent.require_level(ceiling), None)
        app = attempt(
            "Mars",
            lambda: App(
                product=str(product),
                version=str(version),
                url=str(url or known.url),
                server=known.server,
                steered=known.steered,
                languages=attempt("languages", lambda: _names(languages), ()),
                locale=str(locale),
                ceiling=consent.cap("application", ceiling),
                built=known.built,
                crowd=known.crowd,
                channel=known.channel if known.product else "",
            ),
            App("", "", ""),
        )
        settings = attempt("tor", lambda: _tor(tor, socks), TorSettings())
        attempt("socks", lambda: factory.require_socks(settings.socks), None)
        system = ports(
            path,
            settings,
            missing,
            store=store,
            host=machine,
            clock=clock,
            chance=chance,
            fetcher=fetcher,
            openpgp=openpgp,
        )
        nobody: bool | Collection[str] = False
        wanted = attempt("plugins", lambda: _wanted(plugins), nobody)
        collector = Collector(wanted, isolate, raises=raises)
        declared = attempt("registry", lambda: read_registry(registry), None)
        make = partial(NewsClient, app, pinned, system, registry=declared, collect=collector.value)
        self._client = attempt("channels", lambda: make(channels), None) or make()
        turned: dict[str, Callable[[], object]] = {"news": self._deliver}
        if on_turn is not None:
            turned["on_turn"] = partial(called, "on_turn", on_turn, self)
        self._background = Background(self._client, self._problems, self._client.check, turned)
        self.consent = Consent(self._client, self._background.wake, self._problems)
        self.statistics = Statistics(self._client, collector, self._background.wake, self._problems)
        turned["statistics"] = self.statistics.note
        self._streams = Streams(self._client, self._problems, raises=raises)
        turned["failures"] = self._streams.keep
        made_by = sys._getframe(1).f_globals
        caller = {name: made_by.get(name) for name in ("__name__", "__package__")}
        named = attempt("modules", lambda: None if modules is None else _names(modules), None)
        none: tuple[str, ...] = ()
        rules = attempt("ignored", lambda: _names(ignored), none)
        own = partial(_modules, named, caller)
        said = (self._background.wake, self._problems, self._dispatch, own, rules)
        self.reports = Reports(self._client, *said)
        self.tk, self.qt = Toolkit(self.reports.tk), Toolkit(self.reports.qt)
        turned["reports"] = self.reports.note
        _alive.add(self)

    def on_motd(self, show: Show) -> Show:
        """Calls ``show(message)`` once for each new message; usable as a decorator.

        ``message`` has ``title``, ``text``, ``url``, ``kind`` (news, update, security) and
        ``severity`` (info, warning, critical); critical ones may be shown as an alert.
        """
        self._shows.append(show)
        self._background.wake()
        return show

    def start(self) -> None:
        """Starts the thread; returns at once. Calling it twice does nothing."""
        self._problems.attempt("start", self._background.start, None)

    def stop(self) -> None:
        """Ends the thread; returns at once even in the middle of a fetch."""
        self._problems.attempt("stop", self._stop, None)

    def _stop(self) -> None:
        self._background.stop()
        self._streams.keep(at_once=True)
        self._give_back()

    def motd(self) -> Reading | None:
        """The last accepted news, as meant for this installation; None if there is none."""
        return self._problems.attempt("state", self._read, None)

    def _read(self) -> Reading | None:
        """As ``motd``; raises ``MarsError`` where that cannot be told."""
        return self._client.reading(self._client.load())

    def preview(
        self,
        level: str | None = None,
        variables: Collection[str] | None = None,
        country: str | None = None,
        *,
        channel: str = "motd",
        **chosen: Unpack[Chosen],
    ) -> NextRequest | None:
        """The next request (``bytes``, ``url``, ``values``), and the ``direct`` one that goes where
        there is no Tor, if any; None where nothing would be sent.

        With ``level`` the request as it would be if the user now chose so: all arguments mean what
        they mean to ``consent.grant``, and what that refuses gives None. Nothing is stored. Why it
        is None, ``status()`` says: by ``level`` and ``decided_by``, or by ``problem``.
        """
        choice = Choice(level, variables, country=country, **chosen)
        state = self._problems.attempt("state", self._client.load, None)
        if state is None:
            return None
        return self._problems.attempt(
            "preview", lambda: self._preview(channel, state, choice), None
        )

    def _preview(self, name: str, state: State, choice: Choice) -> NextRequest | None:
        client = self._client
        with contextlib.suppress(ConsentError):  # as where half a country is typed
            if choice.level is not None:
                state = client.chosen(state, choice)
            channel = {one.name: one for one in client.channels}.get(name)
            if channel is None:
                raise MarsError("channel-unknown", f"There is no channel {name!r}; name another.")
            with contextlib.suppress(ConfigError, TransportError):
                return client.planned(channel, state, client.voice(state))
        return None

    def check_now(self) -> bool:
        """Asks for a check in the background: plain, at most once an hour.

        False where that may not be now; ``status()["check"]`` says why.
        """
        if self.status().get("check", "unknown"):
            return False
        self._background.check()
        return True

    def look(self) -> None:
        """Looks at once whether something has changed, such as a decision made elsewhere."""
        self._background.wake()

    def status(self) -> dict[str, Any]:
        """Where things stand, in plain values that fit into JSON."""
        from mars.core.journal import sentence

        table: dict[str, Any] = {}
        table = self._problems.attempt("status", self._client.status, table)
        if not table.get("problem"):
            self._problems.hold("state", None)
        table["statistics"] = self.statistics.status()
        table["streams"] = self._streams.status()
        table["error_reports"] = self.reports.status()
        table["running"] = self._background.is_alive
        if not table["running"]:
            table["check"] = {"reason": "not-running", "message": "Call start() first."}
        table["fetching_here"] = self._background.is_holder
        for what, error in [*self._client.failed.items()]:
            self._problems.hold(what, error)
        self._problems.hold("damage", self._client.damage)
        problem = self._problems.last or (None if table.get("server") else no_server())
        if problem is not None:
            table["problem"] = {**problem.plain(), "message": sentence(problem)}
        return table

    def journal(self) -> list[dict[str, Any]]:
        """What was sent, by which route, and what came back; oldest first."""
        none: list[dict[str, Any]] = []
        return self._problems.attempt("journal", self._client.journal, none)

    def failures(self, domain: str) -> Stream:
        """Where the application says what failed in a domain that ``errors.toml`` declares, and
        is told what stays broken: always the same stream of one domain."""
        return self._streams.of(domain)

    def failures_seen(self) -> list[dict[str, Any]]:
        """Each declared domain for a settings screen: how often each cause occurred here, what
        would be told of that, whether the user ``agreed`` and it is ``on``, what was ``last`` sent
        and when (``mars.channels.domains``). The user answers by ``statistics.choose``, under the
        ``name`` that is listed; what is listed is what a later yes is to."""
        return self._streams.seen()

    def reset_age(self, installed: int | None = None) -> None:
        """Sets the date of installation: today, or the day of ``installed`` (Unix time)."""
        self._problems.attempt("reset_age", lambda: self._reset_age(installed), None)

    def _reset_age(self, installed: int | None) -> None:
        if not (installed is None or (type(installed) is int and 0 <= installed <= LAST)):
            raise ConfigError("bad-time", "Give the date of installation as Unix time, an int.")
        self._client.set_installed(installed)

    # --- in the thread ----------------------------------------------------------------------

    def _deliver(self) -> None:
        if not self._shows:
            return
        messages = self._client.claim()
        self._unshown |= {message.id: message for message in messages}
        try:
            for message in messages:
                for show in self._shows:
                    self._dispatch(partial(self._call, show, message))
        except BaseException:
            # A host that is closing down takes no more calls: the next start shows them.
            self._give_back()
            raise

    def _call(self, show: Show, message: Shown) -> None:
        self._unshown.pop(message.id, None)
        ours = self._background.is_here()
        call = partial(called, "on_motd", show, message, ours=ours)
        self._problems.attempt(f"on_motd {id(show)}", call, None, thread=ours)

    def _give_back(self) -> None:
        unshown, self._unshown = self._unshown, {}
        self._client.give_back(unshown.values())


_alive: weakref.WeakSet[Mars] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    """For hosts that never call ``stop``: what is left of an overdue wait is kept all the same."""
    for mars in list(_alive):
        mars.stop()


def _pinned(trust: bytes | str | os.PathLike[str], product: str) -> tuple[bytes, Pinned]:
    data = read_bytes(trust)
    return data, Pinned.of(data, product)


def _folder(
    given: str | os.PathLike[str] | None,
    machine: Platform,
    product: str,
    known: Pinned,
    broken: MarsError | None,
) -> str:
    path = os.fsdecode(given or "") or factory.state_folder(machine, product, known.channel)
    if broken is not None and not given:
        raise broken  # which channel it is is not known, and a choice must not be kept for another
    return path


def _wanted(plugins: bool | Collection[str]) -> bool | Collection[str]:
    if isinstance(plugins, str | bytes):
        raise TypeError("plugins is a list of names, or True")
    return plugins if isinstance(plugins, bool) else tuple(plugins)


def _names(names: Iterable[str] | None) -> tuple[str, ...]:
    if isinstance(names, str | bytes):
        raise TypeError("it is a list of names, not one text")
    return tuple(names or ())


def _modules(named: tuple[str, ...] | None, caller: Mapping[str, Any]) -> tuple[str, ...]:
    from mars.faults.own import top_package  # late: it loads OpenSSL

    return top_package(caller) if named is None else named


def _tor(settings: TorSettings | None, socks: str) -> TorSettings:
    given = settings or TorSettings()
    return replace(given, socks=given.socks or socks or None)
