"""The message of the day: where it is fetched from, what the request says, what an answer means."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mars import consent
from mars.channels import memory
from mars.channels.memory import Memory
from mars.consent import METRICS, NEWS, Purpose
from mars.core import schedule
from mars.core.channel import FILE, Ending, Kept, NextRequest, View
from mars.core.state import State
from mars.errors import ConfigError, TransportError
from mars.pinned import read_root
from mars.ports import Chance, OpenPGP
from mars.wire.query import MOTD_PATH, encode
from mars.wire.request import HTTPRequest
from mars.wire.url import Location, parse_url
from mars.wire.variables import Facts, chosen, values

if TYPE_CHECKING:
    from mars.wire.keys import TrustRoot

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Motd:
    """``mars.core.channel.Channel``. ``trust`` is what the application pins; read when needed."""

    name = "motd"
    purposes: tuple[Purpose, ...] = (NEWS, METRICS)

    def __init__(self, trust: bytes, product: str) -> None:
        self._trust = trust
        self._product = product
        self._root: TrustRoot | None = None

    # --- when -------------------------------------------------------------------------------

    def stopped(self, state: State) -> Kept:
        return replace(Memory.of(state), schedule=None).plain()

    def look(self, view: View, ran: int | None, chance: Chance) -> tuple[Kept, int]:
        known = Memory.of(view.state)
        resting = known.schedule or schedule.begin(view.now, chance)
        floor = max(view.app.built, known.issued)
        looked, sleep = schedule.look(resting, view.now, ran, chance, floor=floor)
        return replace(known, schedule=looked).plain(), sleep

    def attempt(self, view: View, chance: Chance) -> Kept:
        known = Memory.of(view.state)
        due = known.schedule or schedule.begin(view.now, chance)
        return replace(known, schedule=schedule.attempt(due, view.now, chance)).plain()

    def rested(self, state: State, ran: int | None) -> Kept:
        known = Memory.of(state)
        if known.schedule is None:
            return state.kept(self.name)
        return replace(known, schedule=schedule.rested(known.schedule, ran)).plain()

    # --- what -------------------------------------------------------------------------------

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        """The next request: to ``url``, else to the server that an accepted document named, else
        to the built-in one."""
        address = url or source(view)
        if address.startswith(FILE):
            return NextRequest(consent.PLAIN, HTTPRequest("GET", address), None, {})
        location = check_url(address, by_hand=url is not None)
        lowered = () if _is_private(location) else (_READ_ALONG,)
        voice = consent.effective([*view.voice.layers, *lowered])
        known = Memory.of(view.state)
        said = chosen(values(_facts(view, known)), voice.variables, known.pick or 0.0)
        query = encode(said)
        request = HTTPRequest.get(f"{location.url}?{query}" if query else location.url)
        may = voice.direct and location.may_go_directly
        direct = HTTPRequest.get(location.url) if may else None
        return NextRequest(voice.level, request, direct, said, lowered)

    # --- what an answer means ---------------------------------------------------------------

    def require_judge(self, view: View, openpgp: Callable[[], OpenPGP]) -> None:
        from mars.channels.trial import require_judge

        require_judge(self.root, Memory.of(view.state).trust_state, openpgp, view.host)

    def take(self, body: bytes, view: View, openpgp: Callable[[], OpenPGP]) -> Ending:
        """``taken`` is an ``Accepted``."""
        from mars.trust import verify

        state = Memory.of(view.state).trust_state()
        accepted = verify(body, self.root(), state, view.now, openpgp())
        return Ending(accepted, said={"serial": accepted.motd.serial})

    def learn(self, view: View, ending: Ending, chance: Chance, *, scheduled: bool) -> Kept:
        known, found = Memory.of(view.state), ending.taken
        if ending.error is None:
            after = known.accepted(found, view.now, view.app.url)
        else:
            after = known.refused(ending.error, view.now)
        if scheduled:
            after = after.settled(ending, view.now, chance)
        return after.plain()

    is_damaged = staticmethod(memory.is_damaged)

    def root(self) -> TrustRoot:
        """What the application pins. Raises ``ConfigError``."""
        if self._root is None:
            self._root = read_root(self._trust, self._product)
        return self._root


def _facts(view: View, known: Memory) -> Facts:
    """What the metrics are made of."""
    app, state, host = view.app, view.state, view.host
    locale = app.locale or host.locale
    return Facts(
        version=app.version,
        system=host.system,
        installed=state.installed,
        languages=(locale,) if locale else (),
        shipped=app.languages,
        python=host.python,
        country=state.country,
        now=view.now,
        built=app.built,
        issued=known.issued,
    )


def source(view: View) -> str:
    """Where the document is fetched from; empty where no server is known."""
    server = Memory.of(view.state).server
    return f"{server.url}{MOTD_PATH}" if server else view.app.url


def check_url(url: str, *, by_hand: bool = False) -> Location:
    """Where the document lies: any https host, or plain http for an onion service or loopback.

    Over plain http an exit relay reads along, so an application cannot configure it; a person who
    names the address for one fetch (``by_hand``) may: the way is Tor all the same, and the
    document is signed. A URL without a path means the usual one. A misspelt onion address is for
    Tor to refuse (``onion-invalid``). Raises ``ConfigError`` or ``TransportError``.
    """
    if not url:
        raise no_server()
    location = parse_url(url)
    if location.has_query:
        raise ConfigError(
            "url-has-query", "Leave the query out of the URL; it is added by consent."
        )
    if not (_is_private(location) or by_hand):
        raise TransportError(
            "url-insecure", "Plain http is only for onion services and loopback; use https."
        )
    if _is_rewritten(location.target):
        raise TransportError(
            "url-invalid",
            "The URL's path would be rewritten on its way; write it without . or .. parts, // at "
            "its beginning and %-escapes of letters, digits and -._~, other escapes in capitals.",
        )
    if location.target != "/":
        return location
    return Location(location.scheme, location.host, location.port, MOTD_PATH)


def no_server() -> ConfigError:
    """Of a client that can fetch nothing."""
    return ConfigError(
        "no-url",
        "No server is known, so nothing is fetched: put its address into the publisher's "
        "product.toml and ship what mars-motd trust then writes, or give a URL.",
    )


_READ_ALONG = consent.cap("address", consent.PLAIN, "whoever is on the way reads plain http")

_KEPT_ESCAPE = re.compile(r"%(?!2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])[0-9A-F]{2}")
"""A percent-escape that RFC 3986 6.2.2 leaves as it is: capital digits, no unreserved character."""


def _is_private(location: Location) -> bool:
    """Whether nobody on the way reads along."""
    return location.scheme == "https" or location.is_onion or location.host in LOOPBACK


def _is_rewritten(path: str) -> bool:
    """Whether HTTP libraries normalise ``path``, so that other bytes than those shown would go."""
    dots = not {".", ".."}.isdisjoint(path.split("/"))
    return dots or path.startswith("//") or "%" in _KEPT_ESCAPE.sub("", path)
