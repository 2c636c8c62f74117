"""What an application pins: found quickly at its start, read strictly when first needed."""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from mars.errors import ConfigError, WireError
from mars.wire.product import is_name
from mars.wire.query import MOTD_PATH
from mars.wire.times import parse_time

if TYPE_CHECKING:
    from mars.wire.keys import TrustRoot


LARGEST = 64 * 1024
"""Bytes of a pinned trust file or an application's file."""


@dataclass(frozen=True)
class Pinned:
    """The little of ``trust.json`` that is needed before the first fetch.

    Reading the keys loads libsodium, which an application that never fetches should not pay for.
    """

    product: str = ""
    channel: str = "stable"
    url: str = ""
    built: int = 0

    @classmethod
    def of(cls, data: bytes, product: str | None = None) -> Self:
        """Raises ``ConfigError``: ``trust-invalid``, ``wrong-product``."""
        try:
            table = json.loads(data.decode("utf-8-sig"))
            name, channel = str(table["product"]), str(table["channel"])
            servers = table.get("servers") or [""]
            built = parse_time(table["built"]) if table.get("built") else 0
            url = f"{servers[0]}{MOTD_PATH}" if servers[0] else ""
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, WireError):
            raise _invalid("it is not what mars-motd trust writes") from None
        if not (is_name(name) and is_name(channel)):
            raise _invalid("its product or channel is not a name")
        _require_product(name, product)
        return cls(name, channel, url, built)


def read_root(data: bytes, product: str | None = None) -> TrustRoot:
    """The whole of it. Raises ``ConfigError`` as ``Pinned.of``."""
    from mars.wire.keys import TrustRoot

    try:
        root = TrustRoot.decode(data)
    except WireError as error:
        raise _invalid(error.message) from None
    _require_product(root.product, product)
    return root


def read_bytes(trust: bytes | str | os.PathLike[str]) -> bytes:
    """The content of ``trust.json``, or of the file of that name. Raises ``ConfigError``."""
    if isinstance(trust, bytes):
        return trust
    if isinstance(trust, str) and trust.lstrip().startswith("{"):
        return trust.encode("utf-8", "replace")
    try:
        return read_small(trust)
    except (OSError, ValueError, TypeError):
        raise _invalid("the file cannot be read") from None


def read_small(path: str | os.PathLike[str]) -> bytes:
    """The content of a regular file of at most 64 KiB. Raises ``OSError``.

    Never waits: a pipe or a device that somebody put in the file's place is refused.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST:
            raise OSError(errno.EINVAL, "not a small regular file", os.fspath(path))
        return file.read(LARGEST)


def _require_product(found: str, product: str | None) -> None:
    if product is not None and found != product:
        raise ConfigError(
            "wrong-product", "The pinned trust file is for another product; use that product's."
        )


def _invalid(why: str) -> ConfigError:
    return ConfigError(
        "trust-invalid",
        f"The pinned trust file is not usable: {why}. Take the one that the application ships.",
    )
