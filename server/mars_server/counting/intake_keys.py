"""Reads the files that hold the secret keys of the intake, and those of error reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mars.errors import ConfigError, naming
from mars.wire.keyfile import INTAKE, MAX_KEYFILE, KeyFile, decode
from mars.wire.sealed import Opener, key_id
from mars_server.common.config import read
from mars_server.counting.reports import WeekKey

Ask = Callable[[str | Path], bytes]
"""Gives the passphrase of a file that is protected."""


@dataclass(frozen=True)
class Keys:
    """What some key files hold together."""

    intake: Mapping[bytes, WeekKey] = field(default_factory=dict, repr=False)
    """By their ids."""
    releases: Mapping[str, Opener] = field(default_factory=dict, repr=False)
    """Of error reports, by release."""


def load_all(paths: Iterable[str | Path], passphrase: Ask) -> Keys:
    """The keys of both kinds.

    Raises ``ConfigError`` (``keys-missing``, ``keys-unreadable``) and ``WireError``
    (``key-damaged``, ``passphrase-wrong``).
    """
    intake: dict[bytes, WeekKey] = {}
    releases: dict[str, Opener] = {}
    for path in paths:
        file = _read(path, passphrase)
        pairs = {name: Opener.of(secret) for name, secret in file.secrets.items()}
        if file.kind == INTAKE:
            intake |= {key_id(pair.public): WeekKey(week, pair) for week, pair in pairs.items()}
        else:
            releases |= pairs
    return Keys(intake, releases)


def load_keys(paths: Iterable[str | Path], passphrase: Ask) -> Mapping[bytes, WeekKey]:
    """The intake's keys in all files, by their ids.

    Raises as ``load_all``, and ``ConfigError`` (``keys-other-kind``).
    """
    found: dict[bytes, WeekKey] = {}
    for path in paths:
        keys = load_all([path], passphrase)
        if keys.releases:
            told = "holds keys of error reports; name a file of the intake's."
            raise ConfigError("keys-other-kind", f"{path} {told}")
        found |= keys.intake
    return found


def _read(path: str | Path, passphrase: Ask) -> KeyFile:
    data = read(path, "The key file", "keys", most=MAX_KEYFILE + 1)
    with naming(path):
        return decode(data, lambda: passphrase(path))
