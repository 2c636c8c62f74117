"""The request, byte for byte: made once, shown, agreed to, sent and recorded as the same value."""

from __future__ import annotations

from dataclasses import dataclass

from mars.wire.query import MOTD_PATH
from mars.wire.url import parse_url

HEADERS = (
    ("User-Agent", "mars/1"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "identity"),
    ("Connection", "close"),
)
"""After ``Host``, in this order, and nothing else. The User-Agent says nothing of version, platform
or Python, and is the same for every product."""

BODY_TYPE = "application/octet-stream"
"""Of everything that is posted: padded statistics and sealed reports are opaque."""

_HEAD_END = b"\r\n\r\n"


def target(query: str) -> str:
    """The request target: the path, and ``?query`` only where ``query`` is not empty."""
    return f"{MOTD_PATH}?{query}" if query else MOTD_PATH


def request_bytes(host: str, query: str = "") -> bytes:
    """The whole request for the MOTD (RFC 9112). ``host`` is the Host value; ASCII only."""
    return _head("GET", host, target(query), HEADERS)


@dataclass(frozen=True)
class HTTPRequest:
    """One request (RFC 9110). Make it by ``get`` or ``post``; nobody builds its bytes again."""

    method: str
    url: str
    """``http(s)://host[:port]/path[?query]`` in its one form; a ``file:`` URL goes on no wire."""
    fields: tuple[tuple[str, str], ...] = ()
    """After ``Host``, in this order."""
    body: bytes | None = None
    golden: bytes = b""
    """What must come out on the wire; else nothing does."""
    sealed: str = ""
    """The very text that was sealed in ``body``, no summary of it."""

    @classmethod
    def get(cls, url: str) -> HTTPRequest:
        """Raises ``TransportError`` (``url-invalid``)."""
        return cls._of("GET", url, HEADERS)

    @classmethod
    def post(cls, url: str, body: bytes, sealed: str = "") -> HTTPRequest:
        """Of opaque bytes. Raises ``TransportError`` (``url-invalid``)."""
        described = (("Content-Type", BODY_TYPE), ("Content-Length", str(len(body))))
        return cls._of("POST", url, (*HEADERS, *described), body, sealed)

    @classmethod
    def _of(
        cls,
        method: str,
        url: str,
        fields: tuple[tuple[str, str], ...],
        body: bytes | None = None,
        sealed: str = "",
    ) -> HTTPRequest:
        place = parse_url(url)
        golden = _head(method, place.authority, place.target, fields) + (body or b"")
        return cls(method, place.url, fields, body, golden, sealed)

    @property
    def shown(self) -> str:
        """For people: the bytes as text; for a body what was sealed in it, its size and SHA-256."""
        head, end, body = self.golden.partition(_HEAD_END)
        text = (head + end).decode("ascii")
        if not body:
            return text
        from hashlib import sha256  # late: it loads OpenSSL

        seal = f"[{len(body)} bytes, sealed, SHA-256 {sha256(body).hexdigest()}]"
        return f"{text}{self.sealed}\r\n{seal}\r\n"


def _head(
    method: str, host: str, request_target: str, fields: tuple[tuple[str, str], ...]
) -> bytes:
    lines = [f"{method} {request_target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join(lines).encode("ascii") + _HEAD_END
