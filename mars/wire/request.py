"""The request, byte for byte. The preview shows it, a test compares it with what is on the wire."""

from __future__ import annotations

from mars.wire.query import MOTD_PATH

USER_AGENT = "mars/1"
"""Says nothing of version, platform or Python, and is the same for every product."""

HEADERS = (
    ("User-Agent", USER_AGENT),
    ("Accept", "*/*"),
    ("Accept-Encoding", "identity"),
    ("Connection", "close"),
)
"""After ``Host``, in this order, and nothing else."""


def target(query: str) -> str:
    """The request target: the path, and ``?query`` only where ``query`` is not empty."""
    return f"{MOTD_PATH}?{query}" if query else MOTD_PATH


def request_bytes(host: str, query: str = "") -> bytes:
    """The whole request (RFC 9112). ``host`` is the Host value; ASCII only."""
    return get_bytes(host, target(query))


def get_bytes(host: str, request_target: str) -> bytes:
    """The same request for any path, which only its path and query tell apart."""
    lines = [f"GET {request_target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in HEADERS]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
