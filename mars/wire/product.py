"""The publisher's ``product.toml``: what a product is, and which values may be counted."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mars.errors import ConfigError
from mars.wire.links import is_prefix
from mars.wire.times import DAY
from mars.wire.url import is_onion_server

PLATFORMS = ("linux", "windows", "macos")
OPENPGP_POLICIES = ("required", "when-available", "off")

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)
_RELEASE = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){1,2}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}", re.ASCII)
CROWD = re.compile("0|100+", re.ASCII)
_MEMBERS = frozenset(
    "product channel releases platforms languages servers links crowd policy motd"
    " statistics reports".split()
)

_PREFIXES = "beginnings of URLs with a path and no query, such as https://example.org/"

MAXCROWD = 10**9
MAX_THRESHOLD = 7
"""Signatures; with the OpenPGP one they must fit into the eight that a client looks at."""


@dataclass(frozen=True)
class Policy:
    """Who must sign: how many of the Ed25519 keys, and OpenPGP by one of the three rules."""

    threshold: int = 1
    """Of the roles ``root``, ``motd`` and ``release``; programs sign alone."""
    openpgp: str = "when-available"
    root_threshold: int = 0
    """Of ``root``, where it is another; else 0."""

    def threshold_of(self, role: str) -> int:
        """How many Ed25519 keys of ``role`` must sign."""
        if role == "root":
            return self.root_threshold or self.threshold
        return self.threshold if role in ("motd", "release") else 1


@dataclass(frozen=True)
class Product:
    """One product and channel. ``releases`` are oldest first as written; none is required."""

    product: str
    channel: str
    releases: tuple[str, ...]
    platforms: tuple[str, ...]
    languages: tuple[str, ...]
    servers: tuple[str, ...] = ()
    """Bare onion addresses, ``http://<56 base32>.onion``."""
    policy: Policy = Policy()
    lifetime_days: int = 45
    """Days from ``issued`` to ``expires`` of a signed document."""
    reportback_next: int = 0
    """Seconds; 0 leaves the interval at the default of 3 to 10 days."""
    crowd: int = 0
    """How many installations send metrics, as a power of ten from 100 on; 0: fewer, or unknown."""
    links: tuple[str, ...] = ()
    """How the links of messages may begin; with none, clients show none."""
    statistics_releases: tuple[str, ...] = ()
    """Releases that statistics name; others are counted together."""
    reports_releases: tuple[str, ...] = ()
    """Releases that take error reports."""

    def also(self, release: str) -> Product:
        """With ``release`` as the newest, unless it is listed or an empty text."""
        if not release or release in self.releases:
            return self
        return replace(self, releases=(*self.releases, release))


def is_name(text: str) -> bool:
    """Product and channel names: 1–40 characters of a–z, 0–9 and inner hyphens."""
    return _NAME.fullmatch(text) is not None


def is_release(text: str) -> bool:
    """``X.Y`` or ``X.Y.Z`` with ASCII numbers of at most four digits."""
    return _RELEASE.fullmatch(text) is not None


def is_language(text: str) -> bool:
    """A primary language subtag of two or three lower-case ASCII letters (RFC 5646 2.2.1)."""
    return _LANGUAGE.fullmatch(text) is not None


def parse_product(data: bytes, where: str = "product.toml") -> Product:
    """Reads ``product.toml``. Raises ``ConfigError`` (``product-invalid``) naming ``where``."""
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _wrong(where, f"is not UTF-8 (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise _wrong(where, f"is not TOML: {error}") from None
    unknown = sorted(set(table) - _MEMBERS)
    if unknown:
        raise _wrong(where, f"has an unknown entry {unknown[0]!r}; known are {sorted(_MEMBERS)}")
    policy = _table(table, "policy", {"threshold", "root_threshold", "openpgp"}, where)
    motd = _table(table, "motd", {"lifetime_days", "reportback_next"}, where)
    statistics = _table(table, "statistics", {"releases"}, where)
    reports = _table(table, "reports", {"releases"}, where)
    product = Product(
        product=_text(table, "product", where),
        channel=_text(table, "channel", where),
        releases=_releases(table, where),
        platforms=_list(table, "platforms", PLATFORMS.__contains__, f"of {PLATFORMS}", where),
        languages=_list(table, "languages", is_language, "primary subtags like en", where),
        servers=_list(table, "servers", is_onion_server, "http://<56 base32>.onion", where),
        policy=Policy(
            threshold=_whole(policy, "threshold", 1, 1, MAX_THRESHOLD, where),
            openpgp=policy.get("openpgp", "when-available"),
            root_threshold=_whole(policy, "root_threshold", 0, 0, MAX_THRESHOLD, where),
        ),
        lifetime_days=_whole(motd, "lifetime_days", 45, 14, 60, where),
        reportback_next=_whole(motd, "reportback_next", 0, 0, 30 * DAY, where),
        crowd=_whole(table, "crowd", 0, 0, MAXCROWD, where),
        links=_list(table, "links", is_prefix, _PREFIXES, where),
        statistics_releases=_releases(statistics, where),
        reports_releases=_releases(reports, where),
    )
    if not CROWD.fullmatch(str(product.crowd)):
        raise _wrong(where, "crowd must be 0 or a power of ten from 100 on")
    if product.policy.openpgp not in OPENPGP_POLICIES:
        raise _wrong(where, f"policy.openpgp must be one of {', '.join(OPENPGP_POLICIES)}")
    return product


def _wrong(where: str, what: str) -> ConfigError:
    return ConfigError("product-invalid", f"{where}: {what}.")


def _table(table: Mapping[str, Any], name: str, known: set[str], where: str) -> dict[str, Any]:
    value = table.get(name, {})
    if not isinstance(value, dict):
        raise _wrong(where, f"{name} must be a table")
    unknown = sorted(set(value) - known)
    if unknown:
        raise _wrong(where, f"has an unknown entry {name}.{unknown[0]}; known are {sorted(known)}")
    return value


def _text(table: Mapping[str, Any], name: str, where: str) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not is_name(value):
        raise _wrong(where, f"{name} must be 1-40 characters of a-z, 0-9 and inner hyphens")
    return value


def _whole(
    table: Mapping[str, Any], name: str, default: int, low: int, high: int, where: str
) -> int:
    value = table.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise _wrong(where, f"{name} must be a whole number from {low} to {high}")
    return value


def _releases(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    return _list(table, "releases", is_release, "releases like 0.5.2", where)


def _list(table: Mapping[str, Any], name: str, fits: Any, what: str, where: str) -> tuple[str, ...]:
    value = table.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(where, f"{name} must be a list of texts")
    for item in value:
        if not fits(item):
            raise _wrong(where, f"{name} holds {item!r}; it takes {what}")
    if len(set(value)) != len(value):
        raise _wrong(where, f"{name} names an entry twice")
    return tuple(value)
