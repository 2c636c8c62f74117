"""The request, byte for byte. The preview shows it, a test compares it with what is on the wire."""

from __future__ import annotations

from dataclasses import dataclass

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

BODY_TYPE = "application/octet-stream"
"""Of everything that is posted: padded statistics and sealed reports are opaque."""


def target(query: str) -> str:
    """The request target: the path, and ``?query`` only where ``query`` is not empty."""
    return f"{MOTD_PATH}?{query}" if query else MOTD_PATH


def request_bytes(host: str, query: str = "") -> bytes:
    """The whole request (RFC 9112). ``host`` is the Host value; ASCII only."""
    return get_bytes(host, target(query))


def get_bytes(host: str, request_target: str) -> bytes:
    """The same request for any path, which only its path and query tell apart."""
    return _head("GET", host, request_target, HEADERS)


def post_bytes(host: str, request_target: str, body: bytes) -> bytes:
    """A report of opaque bytes, which only path, length and body tell apart."""
    return _head("POST", host, request_target, _post_headers(body)) + body


@dataclass(frozen=True)
class Message:
    """A request as an HTTP library wants it, and as it must come out on the wire."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    golden: bytes


def get_message(url: str, host: str, request_target: str) -> Message:
    return Message("GET", url, HEADERS, None, get_bytes(host, request_target))


def post_message(url: str, host: str, request_target: str, body: bytes) -> Message:
    golden = post_bytes(host, request_target, body)
    return Message("POST", url, _post_headers(body), body, golden)


def _post_headers(body: bytes) -> tuple[tuple[str, str], ...]:
    described = (("Content-Type", BODY_TYPE), ("Content-Length", str(len(body))))
    return (*HEADERS, *described)


def _head(
    method: str, host: str, request_target: str, fields: tuple[tuple[str, str], ...]
) -> bytes:
    lines = [f"{method} {request_target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
