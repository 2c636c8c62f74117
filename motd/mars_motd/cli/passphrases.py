"""Where a passphrase comes from: a file, else a question at the terminal, asked once."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mars.errors import ConfigError
from mars_motd.keystore import KeyRecord

_LONGEST = 255
"""Bytes: gpg takes no more, and cuts off what is longer."""


def from_file(path: Path) -> str:
    """The first line of ``path``. Raises ``ConfigError`` (``passphrase-invalid``)."""
    with path.open("rb") as file:
        line = file.readline(_LONGEST + 3).rstrip(b"\r\n")
    try:
        phrase = line.decode("utf-8")
    except UnicodeDecodeError:
        phrase = ""
    return _require_usable(phrase, f"The first line of {path}")


def _require_usable(phrase: str, what: str) -> str:
    """``phrase``, if it can protect both keys. Raises ``ConfigError`` (``passphrase-invalid``)."""
    if not phrase or len(phrase.encode()) > _LONGEST or not phrase.isprintable():
        raise ConfigError(
            "passphrase-invalid",
            f"{what} is no passphrase: 1 to {_LONGEST} bytes of UTF-8 text, printable.",
        )
    return phrase


class Asker:
    """Hands out passphrases for keys: all from one file, or asked for, once a key."""

    def __init__(self, file: Path | None) -> None:
        self._fixed = from_file(file) if file is not None else None
        self._asked: dict[str, str] = {}

    def __call__(self, record: KeyRecord) -> str | None:
        if self._fixed is not None:
            return self._fixed
        if not sys.stdin.isatty():
            return None
        if record.name not in self._asked:
            self._asked[record.name] = click.prompt(
                f"Passphrase of {record.name}", hide_input=True, err=True
            )
        return self._asked[record.name]


def for_new_key(file: Path | None) -> str:
    """A passphrase for a key that is being made."""
    if file is not None:
        return from_file(file)
    if not sys.stdin.isatty():
        raise click.UsageError("Without a terminal, give --passphrase-file F or --no-passphrase.")
    phrase: str = click.prompt(
        "Passphrase for the new key", hide_input=True, confirmation_prompt=True, err=True
    )
    return _require_usable(phrase, "What was typed")
