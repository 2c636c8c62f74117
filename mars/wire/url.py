"""The URLs we fetch. One strict grammar, so that what is shown, checked and sent is one thing."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from mars.errors import TransportError

_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?"
    r"(?:\?(?P<query>[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*))?",
    re.ASCII,
)
"""RFC 3986 without userinfo and fragment, ASCII only. A bracketed host is an IPv6 literal."""

_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65535
_ONION = re.compile(r"[a-z2-7]{56}\.onion", re.ASCII)
_ONION_VERSION = b"\x03"


@dataclass(frozen=True)
class Location:
    """Where a request goes. ``host`` is in lower case, an IPv6 literal without brackets."""

    scheme: str
    host: str
    port: int
    target: str
    """The request target of RFC 9112: path and, where there is one, ``?query``."""

    @property
    def is_onion(self) -> bool:
        """Whether only Tor can reach it; a malformed onion address counts, so it never leaks."""
        return self.host == "onion" or self.host.endswith(".onion")

    @property
    def has_query(self) -> bool:
        return "?" in self.target

    @property
    def may_go_directly(self) -> bool:
        """Whether it may be asked for without Tor: https, no query string, never an onion."""
        return self.scheme == "https" and not self.has_query and not self.is_onion

    @property
    def authority(self) -> str:
        """The value of ``Host``: the port is named only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(url: str) -> Location:
    """Reads ``http(s)://host[:port][/path][?query]``.

    Raises ``TransportError`` (``url-invalid``) for anything else: userinfo, fragments, spaces,
    control characters, other schemes, non-ASCII names.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise TransportError("url-invalid", "This is not a plain http or https URL; check it.")
    scheme = match["scheme"]
    port = int(match["port"] or _PORTS[scheme])
    if not 0 < port <= _MAX_PORT:
        raise TransportError("url-invalid", "The URL's port is not between 1 and 65535; check it.")
    query = match["query"]
    path = match["path"] or "/"
    host = match["host"].strip("[]").lower()
    return Location(scheme, host, port, path if query is None else f"{path}?{query}")


def is_onion_host(host: str) -> bool:
    """Whether ``host`` is ``<56 base32>.onion`` in lower case with a right checksum (Tor
    rend-spec-v3, section 6: encoding onion addresses)."""
    if _ONION.fullmatch(host) is None:
        return False
    # Late, because it loads OpenSSL, which an application that only waits should not pay for.
    import hashlib

    raw = base64.b32decode(host[:56].upper())
    key, checksum, version = raw[:32], raw[32:34], raw[34:]
    digest = hashlib.sha3_256(b".onion checksum" + key + version).digest()
    return version == _ONION_VERSION and digest[:2] == checksum


def is_onion_server(url: str) -> bool:
    """Whether ``url`` is exactly ``http(s)://<56>.onion``: no port, path, query or userinfo."""
    scheme, _, host = url.partition("://")
    return scheme in ("http", "https") and is_onion_host(host)
