"""The signed documents that the server gave out, by hash.

A server could give different clients different documents, each properly signed. Nobody can
prevent that, but with the hashes in public anyone can see whether theirs is one of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from mars.errors import ConfigError, WireError
from mars.wire import envelope, motd
from mars.wire.product import Product
from mars.wire.times import format_time
from mars_server.common.jsontext import encode_json

_FORMAT: Final = "mars-documents/1"
FILE: Final = "documents.json"


@dataclass(frozen=True)
class Served:
    """One document: SHA-256 of the file and of the signed payload in it (hex), and its serial."""

    sha256: str
    payload_sha256: str
    serial: int
    reportback_next: int | None = None
    """Seconds that the document asks clients to wait; None where nobody noted it."""

    @property
    def issued(self) -> str:
        """The serial is the time of signing in Unix seconds."""
        return format_time(self.serial)


def describe(data: bytes, product: Product) -> Served:
    """Reads a signed document. Raises ``WireError``, or ``ConfigError`` for another product's."""
    payload = envelope.decode(data).payload
    document = motd.decode(payload)
    if (document.product, document.channel) != (product.product, product.channel):
        raise ConfigError("wrong-product", "The MOTD is for another product or channel.")
    return Served(
        hashlib.sha256(data).hexdigest(),
        hashlib.sha256(payload).hexdigest(),
        document.serial,
        document.reportback_next,
    )


def encode(product: Product, served: Sequence[Served]) -> bytes:
    """The bytes of ``documents.json``, oldest first."""
    table = {
        "format": _FORMAT,
        "product": product.product,
        "channel": product.channel,
        "documents": [
            {"serial": each.serial, "issued": each.issued, **asdict(each)} for each in served
        ],
    }
    return encode_json(table)


def decode(data: bytes) -> list[Served]:
    """Reads ``documents.json``. Raises ``WireError`` (``documents-invalid``)."""
    try:
        return [
            Served(
                str(each["sha256"]),
                str(each["payload_sha256"]),
                int(each["serial"]),
                None if each.get("reportback_next") is None else int(each["reportback_next"]),
            )
            for each in json.loads(data)["documents"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise WireError(
            "documents-invalid",
            f"data/{FILE} does not have the published form; restore it from a copy of the site.",
        ) from None


def unknown(documents: Iterable[Served], known: Iterable[Served]) -> list[Served]:
    """Those of ``documents`` that are none of the ``known``, whatever interval they ask for."""
    names = {replace(each, reportback_next=None) for each in known}
    return [each for each in documents if replace(each, reportback_next=None) not in names]
