"""Which links may be offered to people, and where they may lead. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mars.wire.url import is_onion_host

MAX_URL = 2000
"""Characters; longer links than this break in some browsers."""

_HTTPS = re.compile(
    r"https://(?P<host>(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9]{1,62})"
    r"(?::[0-9]{1,5})?(?P<rest>[/?#][!#-;=?-\[\]_a-z~A-Z]*)?",
    re.ASCII,
)
_ONION = re.compile(r"http://(?P<host>[a-z2-7]{56}\.onion)(?:/[!#-;=?-\[\]_a-z~A-Z]*)?", re.ASCII)
_NO_PATH = re.compile(r"[?#]|/(?:\.|%2e){1,2}(?:/|$)", re.ASCII | re.IGNORECASE)
"""A query, a fragment, or a step out of the folder that the link seems to lead to."""


def link(url: str) -> str:
    """``url`` where it may be offered as a link, else ``""``.

    ``https://`` with an ASCII host name of two labels or more, none of them punycode, or
    ``http://`` with a version 3 onion address; no userinfo, no white space, no other scheme.
    """
    if len(url) > MAX_URL:
        return ""
    onion = _ONION.fullmatch(url)
    if onion is not None:
        return url if is_onion_host(onion["host"]) else ""
    https = _HTTPS.fullmatch(url)
    if https is None or any(label.startswith("xn--") for label in https["host"].split(".")):
        return ""
    return url


def is_prefix(url: str) -> bool:
    """Whether the links of messages may be said to begin with ``url``: a link with a path, so that
    no other host begins with it, and without query, fragment and dot segments."""
    return bool(link(url)) and url.count("/") > 2 and _NO_PATH.search(url) is None


def within(url: str, prefixes: Iterable[str]) -> str:
    """``url`` where it is a link that begins with one of ``prefixes``, else ``""``.

    Query and fragment could carry a mark by which the one who follows the link is known again.
    """
    if not link(url) or _NO_PATH.search(url) is not None:
        return ""
    return url if any(url.startswith(prefix) for prefix in prefixes) else ""
