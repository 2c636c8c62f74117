"""The message of the day: where it is fetched from, what the request says, what an answer means."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mars import consent
from mars.channels import memory
from mars.channels.memory import Followed, Memory
from mars.consent import METRICS, NEWS, Purpose
from mars.core import schedule
from mars.core.channel import FILE, Ending, Kept, NextRequest, View
from mars.core.days import DAY_USED
from mars.core.schedule import Schedule
from mars.core.state import App, State, read, table, time
from mars.errors import ConfigError, TransportError
from mars.pinned import Pinned, read_root
from mars.ports import Chance, OpenPGP
from mars.wire.crowd import effective
from mars.wire.envelope import MAX_CHAIN
from mars.wire.query import KEYS_PATH, MOTD_PATH, encode
from mars.wire.request import HTTPRequest
from mars.wire.url import Location, parse_url
from mars.wire.variables import Facts, chosen, values

if TYPE_CHECKING:
    from mars.trust import TrustState
    from mars.wire.keys import TrustRoot
    from mars.wire.steering import Steering

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Motd:
    """``mars.core.channel.Channel``. ``trust`` is what the application pins; read when needed."""

    name = "motd"
    purposes: tuple[Purpose, ...] = (NEWS, METRICS)

    def __init__(self, trust: bytes, product: str) -> None:
        self._trust = trust
        self._product = product
        self._root: TrustRoot | None = None
        self._gen: int | None = None

    def started(self, state: State) -> State:
        """``state`` as it is for this release, which overrules what an older one remembered.

        Raises ``ConfigError`` and ``TrustError`` as the rules do.
        """
        if memory.is_older(state):
            return Memory().into(state)
        known = read(table, state.members.get("trust")) or {}
        gen = read(time, known.get("gen"))
        if gen is None or gen >= self.gen:
            return state  # nothing to overrule, or not ours to do; and it costs nothing
        from mars.trust.chain import current_keys

        held = Memory.of(state)
        if not held.trust:
            return state
        return held.holding(current_keys(self.root(), held.trust_state()).state).into(state)

    # --- when -------------------------------------------------------------------------------

    def stopped(self, state: State) -> Kept:
        return replace(Memory.of(state), schedule=None, chaining=False).plain()

    def look(self, view: View, ran: int | None, chance: Chance) -> tuple[Kept, int]:
        known = Memory.of(view.state)
        if known.spent:  # a period that was cut off, as by a crash, is over
            known = known.drawn(chance)
        resting = known.schedule or _begun(known, view.now, chance)
        closed = 0 if view.free else view.day_after
        looked, sleep = schedule.look(
            resting, view.now, ran, chance, floor=view.app.built, closed=closed
        )
        return replace(known, schedule=looked).plain(), sleep

    def due(self, state: State) -> int | None:
        return memory.due(state)

    def attempt(self, view: View, chance: Chance) -> Kept:
        known = Memory.of(view.state)
        due = known.schedule or _begun(known, view.now, chance)
        known = replace(known, schedule=schedule.attempt(due, view.now, chance))
        known = replace(known, spent=True, began=view.now)
        if not known.chaining and _asks_for_chain(view, known):
            known = replace(known, chaining=True, chained=view.now)
        return known.plain()

    def rested(self, state: State, ran: int | None) -> Kept:
        known = Memory.of(state)
        if known.schedule is None:
            return state.kept(self.name)
        return replace(known, schedule=schedule.rested(known.schedule, ran)).plain()

    # --- what -------------------------------------------------------------------------------

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        """The next request: to ``url``, else to the server that steering names, else to the
        built-in one. Where none is said (None, not an empty one, which wants the news now) it is
        for the chain of keys, when that is due."""
        address = url or source(view)
        if address.startswith(FILE):
            return NextRequest(consent.PLAIN, HTTPRequest("GET", address), None, {})
        location = check_url(address, by_hand=bool(url))
        lowered = () if _is_private(location) else (_READ_ALONG,)
        known = Memory.of(view.state)
        chain = url is None and _asks_for_chain(view, known)
        if chain:
            location, lowered = beside(location, KEYS_PATH), (_KEYS, *lowered)
        voice = consent.effective([*view.voice.layers, *lowered])
        found, crowd = values(_facts(view, known)), crowd_of(view.app, view.now)
        said = chosen(found, voice.variables, known.pick or 0.0, crowd)
        query = encode(said)
        request = HTTPRequest.get(f"{location.url}?{query}" if query else location.url)
        may = voice.direct and location.may_go_directly
        direct = HTTPRequest.get(location.url) if may else None
        limit = MAX_CHAIN if chain else NextRequest.limit
        return NextRequest(voice.level, request, direct, said, lowered, limit=limit)

    # --- what an answer means ---------------------------------------------------------------

    def require_judge(self, view: View, openpgp: Callable[[], OpenPGP]) -> None:
        from mars.channels.trial import require_judge

        require_judge(self.root, Memory.of(view.state).trust_state, openpgp, view.host)

    def take(self, body: bytes, view: View, openpgp: Callable[[], OpenPGP]) -> Ending:
        """``taken`` is an ``Accepted``, or ``Followed`` of a chain of keys."""
        from mars.trust import verify

        state = Memory.of(view.state).trust_state()
        if _is_for_chain(view):
            return self._followed(body, state, view.now, openpgp())
        accepted = verify(body, self.root(), state, view.now, openpgp())
        said: dict[str, Any] = {"serial": accepted.motd.serial}
        if accepted.notes:
            said["notes"] = list(accepted.notes)
        return Ending(accepted, said=said)

    def _followed(self, body: bytes, state: TrustState, now: int, openpgp: OpenPGP) -> Ending:
        from mars.trust import verify_chain
        from mars.trust.chain import Current, steering

        after = verify_chain(body, self.root(), state, now, openpgp)
        found = Followed(after, steering(Current(self.root(), after)))
        return Ending(found, said={"epoch": after.epoch})

    def learn(self, view: View, ending: Ending, chance: Chance, *, scheduled: bool) -> Kept:
        known, found = Memory.of(view.state), ending.taken
        if ending.reason == DAY_USED:
            return known.moved(view.day_after, chance).plain()
        if ending.error is not None:
            after = known.refused(ending.error, view.now)
        elif isinstance(found, Followed):
            after = known.followed(found, view.now)
        else:
            after = known.accepted(found, view.now)
        if _is_for_chain(view):
            after = replace(after, chained=view.now)
        if scheduled:
            after = after.settled(ending, view.now, chance, view.app)
        return after.plain()

    def links(self, state: State) -> tuple[str, ...]:
        """How the links of messages may begin. Without what an application pins only what a
        steering document of the present epoch says is known."""
        held = self.steering(state)
        return held.links if held else ()

    def steering(self, state: State) -> Steering | None:
        """What root last signed of the present epoch, else what the application pins; None where
        neither is known."""
        known = Memory.of(state)
        held = known.trust_state().steering if known.trust else None
        with suppress(ConfigError):
            held = held or (self.root().steering if self._trust else None)
        return held

    is_damaged = staticmethod(memory.is_damaged)

    @property
    def gen(self) -> int:
        """Of what the application pins; 0 where that is nothing, or cannot be read."""
        if self._gen is None:
            self._gen = 0
            with suppress(ConfigError):
                self._gen = Pinned.of(self._trust).gen
        return self._gen

    def root(self) -> TrustRoot:
        """What the application pins. Raises ``ConfigError``."""
        if self._root is None:
            self._root = read_root(self._trust, self._product)
        return self._root


def _begun(known: Memory, now: int, chance: Chance) -> Schedule:
    """From the date of consent; where there was a request before, not sooner than a period's least
    after it, or who takes a yes back and gives it anew would be seen twice in a day."""
    begun = schedule.begin(now, chance)
    last = max(known.began or 0, read(time, (known.last or {}).get("time")) or 0)
    return replace(begun, due=max(begun.due, last + schedule.SHORTEST)) if last else begun


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


def crowd_of(app: App, now: int) -> int:
    """By which rule its requests speak, one of ``mars.wire.crowd.CROWDS``."""
    return effective(app.crowd, app.built, now)


def source(view: View) -> str:
    """Where the document is fetched from; empty where no server is known."""
    server = Memory.of(view.state).asked(view.app)
    return f"{server}{MOTD_PATH}" if server else view.app.url


def beside(location: Location, path: str) -> Location:
    """What our servers have at ``path``, where the news lie at ``location``."""
    folder = location.target.rpartition("/")[0]
    return replace(location, target=folder + path.removeprefix("/motd"))


def _asks_for_chain(view: View, known: Memory) -> bool:
    decision = view.state.decision
    return known.asks_for_chain(view.now, decision.purposes.get(NEWS.name) if decision else None)


def _is_for_chain(view: View) -> bool:
    return view.asked is not None and _KEYS in view.asked.lowered


def check_url(url: str, *, by_hand: bool = False, path: str = MOTD_PATH) -> Location:
    """Where the document lies: any https host, or plain http for an onion service or loopback.

    Over plain http an exit relay reads along, so an application cannot configure it; a person who
    names the address for one fetch (``by_hand``) may: the way is Tor all the same, and the
    document is signed. A URL without a path means ``path``. A misspelt onion address is for
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
    return replace(location, target=path)


def no_server() -> ConfigError:
    """Of a client that can fetch nothing."""
    return ConfigError(
        "no-url",
        "No server is known, so nothing is fetched: put its address into the publisher's "
        "product.toml and ship what mars-motd trust then writes, or give a URL.",
    )


_READ_ALONG = consent.cap("address", consent.PLAIN, "whoever is on the way reads plain http")

_KEYS = consent.cap("keys", consent.PLAIN, "the chain of keys is asked for, without data")

_KEPT_ESCAPE = re.compile(r"%(?!2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])[0-9A-F]{2}")
"""A percent-escape that RFC 3986 6.2.2 leaves as it is: capital digits, no unreserved character."""


def _is_private(location: Location) -> bool:
    """Whether nobody on the way reads along."""
    return location.scheme == "https" or location.is_onion or location.host in LOOPBACK


def _is_rewritten(path: str) -> bool:
    """Whether HTTP libraries normalise ``path``, so that other bytes than those shown would go."""
    dots = not {".", ".."}.isdisjoint(path.split("/"))
    return dots or path.startswith("//") or "%" in _KEPT_ESCAPE.sub("", path)
