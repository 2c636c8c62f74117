"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mars import factory
from mars.errors import ConfigError, StateError, WireError
from mars.wire.times import parse_time

F = TypeVar("F", bound=Callable[..., Any])


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
    """The bytes of an input file. Raises ``StateError`` (``unreadable``)."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StateError("unreadable", f"{what} {path} cannot be read: {error.strerror}.") from None


def clock_or(now: int | None) -> int:
    """``now`` where it was given, else the system's clock."""
    return factory.system_clock().now() if now is None else now


def refuse_folder(path: Path) -> None:
    """Raises ``ConfigError`` (``out-invalid``) where ``--out`` names a folder."""
    if path.is_dir():
        raise ConfigError("out-invalid", f"{path} is a folder; name the file to write.")
