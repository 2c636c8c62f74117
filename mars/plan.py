"""The next request: where it goes, what it says and why, decided from the state alone."""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mars import consent
from mars.errors import ConfigError, TransportError
from mars.ports import Platform
from mars.state import State
from mars.wire.query import MOTD_PATH, encode
from mars.wire.request import HTTPRequest
from mars.wire.url import Location, parse_url
from mars.wire.variables import Facts, chosen, values

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
FILE = "file:"


@dataclass(frozen=True)
class App:
    """What the application says of itself. Everything else is the user's or the machine's."""

    product: str
    version: str
    url: str
    """Where the built-in server's document lies."""
    languages: tuple[str, ...] = ("en",)
    """Languages that the application ships."""
    locale: str = ""
    """The language it is shown in now, when the application knows better than the system."""
    ceiling: consent.Layer = field(
        default_factory=lambda: consent.cap("application", consent.TRACKED)
    )
    """The most that the application ever wants, whatever its user agrees to."""
    built: int = 0
    issued: int = 0
    """Times known to have passed: of the build, and of the last accepted document."""
    by_hand: bool = False
    """Described on a command line, which does not overrule what the application said of itself."""

    def profile(self) -> dict[str, Any]:
        """What is kept with the state, for ``mars preview`` and its like."""
        return {
            "product": self.product,
            "version": self.version,
            "url": self.url,
            "languages": list(self.languages),
            "locale": self.locale,
            "built": self.built,
            "ceiling": self.ceiling.level,
            "by_hand": self.by_hand,
        }

    @classmethod
    def of(cls, profile: Mapping[str, Any]) -> App:
        """What ``profile`` made; anything that cannot be read is left at its default."""
        languages, built = profile.get("languages"), profile.get("built")
        return cls(
            product=str(profile.get("product", "")),
            version=str(profile.get("version", "")),
            url=str(profile.get("url", "")),
            languages=tuple(map(str, languages)) if isinstance(languages, list) else (),
            locale=str(profile.get("locale", "")),
            ceiling=consent.cap("application", str(profile.get("ceiling", consent.TRACKED))),
            built=built if type(built) is int else 0,
            by_hand=profile.get("by_hand", True) is True,
        )


@dataclass(frozen=True)
class Plan:
    """The next request, ready to go, as it is shown, agreed to, sent and recorded."""

    level: str
    request: HTTPRequest
    """Through Tor. Of a ``file:`` URL it has no bytes."""
    direct: HTTPRequest | None
    """What goes in its place, without Tor and without data, where no Tor is; only where the user
    allowed it and the address may be asked for so."""
    values: Mapping[str, str]
    voice: consent.Effective

    @property
    def url(self) -> str:
        """With its query, if any."""
        return self.request.url

    @property
    def bytes(self) -> builtins.bytes:
        """The request through Tor; empty for a ``file:`` URL."""
        return self.request.golden


def voices(
    app: App,
    state: State,
    host: Platform,
    now: int,
    *,
    asked: str | None = None,
    check: bool = False,
) -> consent.Effective:
    """What may be sent now. ``asked`` is an explicit level; ``check`` the user's "check now"."""
    automatic = asked is None and not check
    layers = [*consent.environment_layers(host.environ, automatic=automatic), app.ceiling]
    policy = read_policy(host)
    if policy is not None:
        layers.insert(0, policy)
    if asked is None:
        layers.append(consent.user_layer(state.decision, now))
    else:
        layers.append(consent.asked_layer(asked, state.decision))
    if check:
        layers.append(consent.cap("check now", consent.PLAIN, "a check sends no metrics"))
    return consent.effective(layers)


def read_policy(host: Platform) -> consent.Layer | None:
    """The administrator's layer; None where there is no such file.

    Whose it is is not asked: it can only lower.
    """
    try:
        data = host.policy()
        if data is None:
            return None
        import tomllib  # late: hardly any machine has such a file

        return consent.policy_layer(tomllib.loads(data.decode("utf-8-sig")))
    except (OSError, ValueError):
        return consent.policy_layer(None)


def facts(app: App, state: State, host: Platform, now: int) -> Facts:
    """What the metrics are made of."""
    locale = app.locale or host.locale
    return Facts(
        version=app.version,
        system=host.system,
        installed=state.installed,
        languages=(locale,) if locale else (),
        shipped=app.languages,
        python=host.python,
        country=state.country,
        now=now,
        built=app.built,
        issued=app.issued,
    )


def source(app: App, state: State) -> str:
    """Where the document is fetched from; empty where no server is known."""
    return f"{state.server.url}{MOTD_PATH}" if state.server else app.url


def plan(
    app: App,
    state: State,
    host: Platform,
    now: int,
    voice: consent.Effective,
    url: str | None = None,
) -> Plan:
    """The next request under ``voice``. Raises ``ConsentError`` where nothing may be sent.

    ``url`` is an address given for this once; otherwise the server that an accepted document
    named, else the built-in one.
    """
    if voice.level == consent.OFF:
        raise consent.refusal(voice)
    address = url or source(app, state)
    if address.startswith(FILE):
        return Plan(consent.PLAIN, HTTPRequest("GET", address), None, {}, voice)
    location = check_url(address, by_hand=url is not None)
    if not _is_private(location):
        voice = consent.effective([*voice.layers, _READ_ALONG])
    found = values(facts(app, state, host, now))
    said = chosen(found, voice.variables, state.pick)
    query = encode(said)
    request = HTTPRequest.get(f"{location.url}?{query}" if query else location.url)
    may = voice.direct and location.may_go_directly
    direct = HTTPRequest.get(location.url) if may else None
    return Plan(voice.level, request, direct, said, voice)


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
