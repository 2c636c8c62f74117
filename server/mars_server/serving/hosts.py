"""Which Host values are answered. A wrong one gets 404, so that nobody can probe for the onion."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from mars_server.serving.bind import Bind

_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
_NAME = re.compile(r"[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]", re.ASCII)


@dataclass(frozen=True)
class Hosts:
    """``names`` without port, lower case; ``None`` where no onion or server is configured: any."""

    names: frozenset[str] | None = None

    def admits(self, host: str) -> bool:
        """``host`` is the Host field as it was sent, with or without a port (RFC 9110 7.2)."""
        if self.names is None:
            return True
        name, colon, port = host.lower().rpartition(":")
        if not colon or not port.isdigit():
            name = host.lower()
        return _NAME.fullmatch(name) is not None and name in self.names

    def also(self, onion: str | None) -> Hosts:
        """With the onion service's name, once it is known."""
        if onion is None:
            return self
        return Hosts((self.names or frozenset()) | _LOCAL | {onion})


def allowed_hosts(servers: Iterable[str], bind: Bind, onion: bool = False) -> Hosts:
    """``servers`` are URLs of product.toml or bare names.

    ``onion``: there is a service whose name is not known yet; until then only local names are.
    """
    names = {_host(server) for server in servers}
    if not names and not onion:
        return Hosts()
    here = f"[{bind.host}]" if ":" in bind.host else bind.host
    return Hosts(frozenset(names | _LOCAL | ({here} if here else set())))


def _host(server: str) -> str:
    return (urlsplit(server).hostname or "") if "://" in server else server.lower()
