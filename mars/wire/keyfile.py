"""The file that holds secret keys of the intake (one a week) or of error reports (one a release).

::

    {"type": "mars-secret-keys", "version": 1, "kind": "intake", "kdf": "none",
     "secrets": {"2026-W48": "<64 hex digits>"}}

With a passphrase ``kdf`` is ``argon2id13``, ``salt``, ``opslimit`` and ``memlimit`` stand beside
it, and each secret is a box of its own that also holds its name: keys can be taken out of the file
without the passphrase, and none can be passed off as another's. The publisher writes such files,
whoever opens what clients sent reads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mars.errors import WireError
from mars.wire import strictjson
from mars.wire.passphrase import NONE, Lock, Token, Wrong, system_token
from mars.wire.product import is_release
from mars.wire.sealed import KEY_BYTES
from mars.wire.times import is_week

INTAKE, REPORTS = KINDS = ("intake", "reports")
MAX_KEYFILE = 256 * 1024
"""Bytes."""
MAX_KEYS = 512
TYPE = "mars-secret-keys"
"""What ``type`` says."""
_VERSION = 1
_NAMES: Mapping[str, Callable[[str], object]] = {INTAKE: is_week, REPORTS: is_release}
_HEAD = ("type", "version", "kind", "kdf", "salt", "opslimit", "memlimit")
_SECRET = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class KeyFile:
    """What a file holds, opened."""

    kind: str
    """``intake`` or ``reports``."""
    secrets: Mapping[str, bytes]
    """ISO week or release to an X25519 secret of 32 bytes, in the order of the file."""


def encode(
    kind: str, secrets: Mapping[str, bytes], passphrase: bytes | None, token: Token = system_token
) -> bytes:
    """The file; without a ``passphrase`` the secrets stand there in the clear. Takes 0.7 s of a
    core and 256 MiB with one. ``token`` is the source of random bytes."""
    head = {"type": TYPE, "version": _VERSION, "kind": kind}
    if passphrase is None:
        told = {name: secret.hex() for name, secret in secrets.items()}
        return _written({**head, "kdf": NONE}, told)
    lock = Lock.new(passphrase, token)
    boxes = {name: lock.sealed(_named(name) + it, token) for name, it in secrets.items()}
    return _written({**head, **lock.head}, boxes)


def decode(data: bytes, passphrase: Callable[[], bytes]) -> KeyFile:
    """What ``data`` holds; ``passphrase`` is asked only where the file needs it, and raises where
    nobody can answer.

    Raises ``WireError``: ``key-damaged``, ``passphrase-wrong`` (see ``mars.errors.naming``).
    """
    head, told = _read(data)
    if head["kdf"] == NONE:
        return KeyFile(head["kind"], {name: _plain(text) for name, text in told.items()})
    try:
        lock = Lock(head, passphrase())
        return KeyFile(head["kind"], {name: _boxed(lock, name, box) for name, box in told.items()})
    except Wrong:
        raise WireError(
            "passphrase-wrong", "the passphrase does not open it, or the file is damaged."
        ) from None
    except (KeyError, TypeError, ValueError):
        raise _damaged() from None


def names(data: bytes) -> tuple[str, tuple[str, ...]]:
    """The kind, and the weeks or releases whose secrets are in the file; needs no passphrase.
    Raises ``WireError`` (``key-damaged``)."""
    head, told = _read(data)
    return head["kind"], tuple(told)


def in_the_clear(data: bytes) -> dict[str, bytes]:
    """The secrets that no passphrase protects; nothing of a file that needs one. Raises
    ``WireError`` (``key-damaged``)."""
    head, told = _read(data)
    return {name: _plain(it) for name, it in told.items()} if head["kdf"] == NONE else {}


def without(data: bytes, gone: Callable[[str], bool]) -> bytes:
    """The file without the secrets of the names that are ``gone``; needs no passphrase.
    Raises ``WireError`` (``key-damaged``)."""
    head, told = _read(data)
    return _written(head, {name: text for name, text in told.items() if not gone(name)})


def _read(data: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The head and what stands under ``secrets``, by its form alone."""
    try:
        value = strictjson.parse(data, MAX_KEYFILE)
    except WireError:
        raise _damaged() from None
    if not isinstance(value, dict) or value.get("type") != TYPE:
        raise _damaged()
    if value.get("version") != _VERSION:
        raise WireError("key-damaged", "it was written by a newer version; update this program.")
    told, is_named = value.get("secrets"), _NAMES.get(str(value.get("kind")))
    if is_named is None or "kdf" not in value or not isinstance(told, dict):
        raise _damaged()
    if len(told) > MAX_KEYS or not all(
        is_named(name) and isinstance(text, str) for name, text in told.items()
    ):
        raise _damaged()
    return {name: value[name] for name in _HEAD if name in value}, told


def _written(head: Mapping[str, Any], told: Mapping[str, str]) -> bytes:
    return strictjson.write({**head, "secrets": told}, indent=1) + b"\n"


def _plain(text: str) -> bytes:
    if not _SECRET.fullmatch(text):
        raise _damaged()
    return bytes.fromhex(text)


def _boxed(lock: Lock, name: str, box: str) -> bytes:
    text = lock.opened(box)
    if text[:-KEY_BYTES] != _named(name):
        raise _damaged()
    return text[-KEY_BYTES:]


def _named(name: str) -> bytes:
    return name.encode("ascii") + b"\n"


def _damaged() -> WireError:
    return WireError(
        "key-damaged", "this is no complete file of secret keys; restore it from a backup."
    )
