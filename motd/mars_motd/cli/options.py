"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mars import factory
from mars.errors import StateError, WireError, naming
from mars.wire.envelope import MAX_ENVELOPE
from mars.wire.times import parse_time
from mars_motd import files

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def as_time(value: str | int) -> int:
    """``2026-11-21T00:00:00Z`` as Unix seconds; a default that is a number stays one."""
    try:
        return value if isinstance(value, int) else parse_time(value)
    except WireError:
        raise click.BadParameter(f"{value!r} is not a time like 2026-11-21T00:00:00Z.") from None


FILE = click.Path(path_type=Path)
"""May be missing: reading it says so in our own words, with exit code 1."""

folder_argument = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))


def now_option(text: str) -> Callable[[F], F]:
    return click.option("--now", type=as_time, metavar="T", help=text)


def passphrase_option(command: F) -> F:
    option = click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="F",
        help="Read the passphrase from the first line of F instead of asking for it.",
    )
    return option(command)


def read(path: Path, what: str) -> bytes:
    """The bytes of an input file, at most one more than a document may have.

    Raises ``StateError`` (``unreadable``).
    """
    try:
        return files.read(path, MAX_ENVELOPE + 1)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "its name cannot be used"
        raise StateError("unreadable", f"{what} {path} cannot be read: {said}.") from None


def read_as(decode: Callable[[bytes], T], path: Path, what: str) -> T:
    """The contents of an input file. Raises what ``read`` and ``decode`` raise; names the file."""
    data = read(path, what)
    with naming(path):
        return decode(data)


def clock_or(now: int | None) -> int:
    """``now`` where it was given, else the system's clock."""
    return factory.system_clock().now() if now is None else now


def refuse_special(path: Path) -> None:
    """Raises ``ConfigError`` (``out-invalid``) where ``--out`` names a folder or a device."""
    files.writable(path)
