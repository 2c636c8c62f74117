"""Reads the files that hold the intake's secret keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from mars.errors import ConfigError, naming
from mars.wire.keyfile import INTAKE, MAX_KEYFILE, decode
from mars.wire.sealed import Opener, key_id
from mars_server.common.config import read
from mars_server.counting.reports import WeekKey


def load_keys(
    paths: Iterable[str | Path], passphrase: Callable[[str | Path], bytes]
) -> dict[bytes, WeekKey]:
    """The keys in all files, by their ids. ``passphrase`` gives that of a file that is protected.

    Raises ``ConfigError`` (``keys-missing``, ``keys-unreadable``, ``keys-other-kind``) and
    ``WireError`` (``key-damaged``, ``passphrase-wrong``).
    """
    found = {}
    for path in paths:
        data = read(path, "The key file", "keys", most=MAX_KEYFILE + 1)
        with naming(path):
            file = decode(data, lambda path=path: passphrase(path))  # type: ignore[misc]
        if file.kind != INTAKE:
            told = "holds keys of error reports; name a file of the intake's."
            raise ConfigError("keys-other-kind", f"{path} {told}")
        for week, secret in file.secrets.items():
            pair = Opener.of(secret)
            found[key_id(pair.public)] = WeekKey(week, pair)
    return found
