"""Arguments and options that several commands share, where passphrases come from (a file, else a
question at the terminal, asked once a key), and how results are told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import click

from mars import factory
from mars.commandline import done, emit_json
from mars.errors import ConfigError, StateError, TrustError, WireError, naming
from mars.trust.signatures import FUTURE
from mars.wire.envelope import MAX_ENVELOPE
from mars.wire.times import format_time, parse_time
from mars_motd import files
from mars_motd.kinds import Document, Kind
from mars_motd.signatures import Passphrase, Remembering

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_LONGEST = 255
"""Bytes: gpg takes no more, and cuts off what is longer."""


def as_time(value: str | int) -> int:
    """``2026-11-21T00:00:00Z`` as Unix seconds; a default that is a number stays one."""
    try:
        return value if isinstance(value, int) else parse_time(value)
    except WireError:
        raise click.BadParameter(f"{value!r} is not a time like 2026-11-21T00:00:00Z.") from None


FILE = click.Path(path_type=Path)
"""May be missing: reading it says so in our own words, with exit code 1."""

folder_argument = click.argument("folder", metavar="DIR", type=FILE)
out_option = click.option("--out", required=True, type=FILE, metavar="F", help="The file to write.")
passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="F",
    help="Read the passphrase from the first line of F instead of asking for it.",
)


yes_option = click.option(
    "--yes", is_flag=True, help="Do not ask before root signs what steers clients."
)


def file_option(name: str, text: str, metavar: str = "F") -> Callable[[F], F]:
    """An input that may be missing, or an output; without it the parameter is None."""
    return click.option(name, type=FILE, metavar=metavar, help=text)


def key_option(text: str) -> Callable[[F], F]:
    return click.option("--key", "keys", multiple=True, metavar="NAME", help=text)


def now_option(text: str) -> Callable[[F], F]:
    return click.option("--now", type=as_time, metavar="T", help=text)


def clock_or(now: int | None) -> int:
    """``now`` where it was given, else the system's clock."""
    return factory.system_clock().now() if now is None else now


def near(now: int | None) -> int:
    """As ``clock_or``, for what clients must believe today.

    Raises ``TrustError`` (``future``) where ``now`` is more than a day ahead of the clock: what is
    dated so counts for nothing until then, and whoever gets it meanwhile can use it then.
    """
    clock = clock_or(None)
    if now is not None and now > clock + FUTURE:
        raise TrustError(
            "future",
            f"--now is more than a day ahead of this computer's clock, {format_time(clock)}, and "
            f"clients would refuse what is dated so. Set the clock, or leave --now out.",
        )
    return clock_or(now)


def openpgp() -> Remembering:
    """This computer's gpg, asked each question once a command."""
    return Remembering(factory.openpgp())


def read(path: Path, what: str, limit: int = MAX_ENVELOPE) -> bytes:
    """The bytes of an input file, at most one more than may be in it.

    Raises ``StateError`` (``unreadable``).
    """
    try:
        return files.read(path, limit + 1)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "its name cannot be used"
        raise StateError("unreadable", f"{what} {path} cannot be read: {said}.") from None


def read_as(decode: Callable[[bytes], T], path: Path, what: str) -> T:
    """The contents of an input file. Raises what ``read`` and ``decode`` raise; names the file."""
    data = read(path, what)
    with naming(path):
        return decode(data)


def read_document(kind: Kind[T], path: Path) -> Document[T]:
    """A document of this kind in an input file."""
    return read_as(kind.decode, path, f"The {kind.name}")


def tell(as_json: bool, plain: object, lines: Iterable[str]) -> None:
    """A command's result: ``plain`` as JSON, or ``lines`` for people."""
    if as_json:
        emit_json(plain)
        return
    for line in lines:
        click.echo(line)


telling = partial(done, "All is done and stored")
"""Around the output of what was done and stored, which stays so where nobody can read it."""


def passphrase_from(path: Path) -> str:
    """The first line of ``path``. Raises ``ConfigError`` (``passphrase-invalid``)."""
    with files.opened(path) as file:
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


def asker(file: Path | None) -> Passphrase:
    """Hands out passphrases for keys: all from one file, or asked for, once a key."""
    fixed = passphrase_from(file) if file is not None else None

    @cache
    def phrase(name: str) -> str | None:
        if fixed is not None or not sys.stdin.isatty():
            return fixed
        asked: str = click.prompt(f"Passphrase of {name}", hide_input=True, err=True)
        return asked

    return lambda record: phrase(record.name)


def new_passphrase(file: Path | None) -> str:
    """A passphrase for a key that is being made."""
    if file is not None:
        return passphrase_from(file)
    if not sys.stdin.isatty():
        raise click.UsageError("Without a terminal, give --passphrase-file F or --no-passphrase.")
    phrase: str = click.prompt(
        "Passphrase for what is made", hide_input=True, confirmation_prompt=True, err=True
    )
    return _require_usable(phrase, "What was typed")
