"""The query string: which variables exist, what values they take, how they are written.

The client builds it, the server's access log writes it in canonical form, and the counter reads
it back; all three lean on this one page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mars.wire.product import Product
from mars.wire.variables import NAMES, OTHER, VARIABLES

MOTD_PATH = "/motd/motd.json"
KEYS_PATH = "/motd/keys.json"
"""Where the whole chain of keys documents lies."""
REGISTRY_PATH = "/motd/registry.json"
"""Where the registry document lies."""
STATUS_PATH = "/motd/status.json"
"""Where the answers to error reports lie."""
INTAKE_PATH = "/motd/in"
"""Where sealed reports are posted."""

NONE = "none"
"""What is counted for a variable that is absent; never on the wire."""

_OPEN = {one.name: one for one in VARIABLES if one.open}


@dataclass(frozen=True)
class AllowList:
    """The values that may be counted for one product; everything else is ``other``."""

    known: Mapping[str, frozenset[str]]
    """Those that are known beforehand, by variable."""

    @classmethod
    def of(cls, product: Product) -> AllowList:
        return cls({one.name: frozenset(one.known(product)) for one in VARIABLES})

    def also(self, releases: Iterable[str]) -> AllowList:
        """With these releases."""
        return AllowList(
            {**self.known, "v": self.known.get("v", frozenset()) | frozenset(releases)}
        )

    def admits(self, variable: str, value: str) -> bool:
        """Whether ``value`` may be counted for ``variable`` (one of ``NAMES``)."""
        if value in self.known.get(variable, ()):
            return True
        return variable in _OPEN and _OPEN[variable].fits(value)

    def read(self, query: str) -> dict[str, str]:
        """Each known variable that stands in ``query``, with its counted value.

        ``query`` is what follows the ``?``, undecoded: nothing is percent-decoded, since no
        allowed value needs it. A variable that stands twice, or whose value is not allowed, is
        ``other``. In the order of ``NAMES``; an absent variable is not in the result.
        """
        seen: dict[str, list[str]] = {}
        for part in query.split("&"):
            name, _, value = part.partition("=")
            if name in NAMES:
                seen.setdefault(name, []).append(value)
        return {
            name: values[0] if len(values) == 1 and self.admits(name, values[0]) else OTHER
            for name in NAMES
            if (values := seen.get(name))
        }

    def canonical(self, query: str) -> str:
        """The query as the access log writes it, with its ``?``; ``""`` for an empty one."""
        if not query:
            return ""
        known = self.read(query)
        return "?" + (encode(known) or OTHER)


def encode(values: Mapping[str, str]) -> str:
    """``v=0.5.2&os=linux&ia=100``: the known variables of ``values`` in their fixed order.

    Every allowed value consists of characters that need no escaping in a query (RFC 3986 3.4).
    """
    return "&".join(f"{name}={values[name]}" for name in NAMES if name in values)
