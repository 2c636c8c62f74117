"""Caps and deadlines of one server process. Each has a reason; none is there for tuning."""

from __future__ import annotations

import resource
from contextlib import suppress
from dataclasses import dataclass

FILES_KEPT_FREE = 64
"""Descriptors for the log, the database, gpg and the listening sockets."""


@dataclass(frozen=True)
class Limits:
    """Times in seconds."""

    connections: int = 4096
    """Open at once in one process. A client's connection idles for one round trip through Tor
    before its request arrives, so at 1,781 requests a second some 2,000 honest ones are idle."""
    idle: float = 20.0
    """A connection that has not sent a complete request head, or no next request."""
    request: float = 60.0
    """From the end of the request head to the answer, the request's body included."""
    write: float = 120.0
    """Until the peer has taken the whole answer."""
    linger: float = 10.0
    """For the rest of a request's body that nobody reads, after the answer."""
    line: int = 8190
    """Bytes of the request line, and of one header field."""
    headers: int = 64
    """Header fields."""
    head: int = 32 * 1024
    """Bytes of a whole request head; the client's own has about 250. With all connections open and
    each head as long as it may be, that is 128 MiB."""
    body: int = 64 * 1024
    """Bytes of a request's body."""
    grace: float = 10.0
    """At the end, for answers that are under way."""
    hits_per_circuit: int = 3
    """Counted answers on one Tor circuit; an honest client takes a fresh circuit for each fetch."""


def raise_file_limit(wanted: int) -> int:
    """Raises the soft limit of open files as far as ``wanted`` needs; the connections that fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + FILES_KEPT_FREE
    if soft != resource.RLIM_INFINITY and soft < need:
        top = need if hard == resource.RLIM_INFINITY else min(need, hard)
        with suppress(OSError, ValueError):  # a sandbox may forbid it; then fewer fit
            resource.setrlimit(resource.RLIMIT_NOFILE, (top, hard))
            soft = top
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - FILES_KEPT_FREE))
