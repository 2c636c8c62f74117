"""Options that several commands share, and the lines that all of them print."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import click

from mars.commandline import F, emit_json, one_line
from mars.errors import ConfigError, StateError, WireError
from mars.wire.times import parse_time
from mars_server.common.config import load_catalogue, load_product, read
from mars_server.counting import formats
from mars_server.counting.reports import Opening

FILE = click.Path(path_type=Path, readable=False)
"""Whether it can be read is told by who reads it, with what to do about it."""
HERE = click.Path(exists=True, dir_okay=False, readable=False, path_type=Path)
path = partial(click.option, type=FILE)
"""An option that names a file or a folder."""

PLACES = (Path("server.toml"), Path("/etc/mars/server.toml"))
"""Where the file is looked for that nobody named."""
SETTINGS = f"What is not given stands in this file.  [default: {PLACES[0]}, {PLACES[1]}]"


def settings_file() -> Path | None:
    """The first of ``PLACES`` that is there."""
    return next((place for place in PLACES if place.exists()), None)


config = click.option(
    "--config",
    "file",
    type=FILE,
    default=lambda: settings_file() or PLACES[0],
    show_default=", ".join(map(str, PLACES)),
)
DB = "sqlite:///PATH or postgresql://USER@HOST/NAME."
db = click.option("--db", "url", required=True, metavar="URL", help=DB)
logs = click.argument("logs", nargs=-1, required=True, metavar="LOG…")
product = click.option(
    "--product",
    "product_file",
    required=True,
    type=HERE,
    help="product.toml with the releases and languages that may be counted.",
)


jobs = click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes on this machine.",
)


def keys_option(text: str) -> Callable[[F], F]:
    """``--keys``; ``text`` is its help."""
    return click.option("--keys", type=FILE, multiple=True, metavar="F…", help=text)


keys = keys_option("Files of the intake's secret keys, by which spools are opened.")
passphrase = click.option(
    "--passphrase-file",
    type=FILE,
    metavar="F",
    help="Read the key files' passphrase from the first line of F instead of asking for it.",
)


def opening(product_file: Path, keys: Iterable[str | Path], file: Path | None) -> Opening:
    """What spools are opened with; the registry is asked for only where there is a key.

    Raises as ``load_keys`` and ``load_catalogue``, ``ConfigError`` (``metrics-missing``) and
    ``StateError`` (``passphrase-needed``).
    """
    names = list(keys)
    if not names:
        return Opening()
    from mars_server.counting.intake_keys import load_keys

    catalogue = load_catalogue(product_file)
    if not (catalogue.entries or load_product(product_file).reports_releases):
        raise ConfigError(
            "metrics-missing",
            f"{product_file.with_name('metrics.toml')} is not there or declares nothing, nor does "
            "errors.toml, so no report could count, and nothing was read. Put the publisher's "
            "files there.",
        )
    return Opening(catalogue, load_keys(names, partial(passphrase_of, file)))


def passphrase_of(file: Path | None, of: str | Path) -> bytes:
    """Of the key file ``of``: the first line of ``file``, or asked for. Raises ``StateError``
    (``passphrase-needed``)."""
    if file is not None:
        first = read(file, "The passphrase file").partition(b"\n")[0]
        return first.rstrip(b"\r")
    if not sys.stdin.isatty():
        raise StateError(
            "passphrase-needed",
            f"{of} is protected by a passphrase. Give --passphrase-file, or run the command in a "
            "terminal to be asked.",
        )
    asked: str = click.prompt(f"Passphrase of {of}", hide_input=True, err=True)
    return asked.encode()


def log_format(text: str) -> Callable[[F], F]:
    """``--format`` of the logs; ``text`` is its help."""
    return click.option(
        "--format",
        "format_name",
        type=click.Choice(formats.NAMES),
        default=formats.AUTO,
        show_default=True,
        help=text,
    )


def time(text: str) -> int:
    """``2026-11-21T00:00:00Z`` as Unix seconds."""
    try:
        return parse_time(text)
    except WireError as error:
        raise click.BadParameter(error.message) from None


def now_option(text: str) -> Callable[[F], F]:
    """``--now``; ``text`` is its help."""
    return click.option("--now", type=time, metavar="TIME", help=text)


def number(n: int, what: str) -> str:
    """``1 log``, ``2 logs``."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def dropped(reasons: Mapping[str, int]) -> str:
    """``3 dropped (2 stale, 1 late)``."""
    why = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
    return f"{sum(reasons.values())} dropped{why and f' ({why})'}"


def show(sentence: str) -> None:
    """A line on stdout."""
    click.echo(one_line(sentence))


def answer(as_json: bool, document: object, *lines: str) -> None:
    """What a command found, on stdout: one JSON document or lines for people."""
    if as_json:
        emit_json(document)
        return
    for line in lines:
        show(line)


def say(sentence: str) -> None:
    """A line on stderr."""
    click.echo(one_line(sentence), err=True)


def tell(sentence: str) -> None:
    """The same in the server's name; systemd's journal gives it its time."""
    say(f"mars-server: {sentence}")
