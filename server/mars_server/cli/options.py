"""Options that several commands share, and the lines that all of them print."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from mars.commandline import F, emit_json, one_line
from mars_server.counting import formats

FILE = click.Path(path_type=Path, readable=False)
"""Whether it can be read is told by who reads it, with what to do about it."""
HERE = click.Path(exists=True, dir_okay=False, readable=False, path_type=Path)
path = partial(click.option, type=FILE)
"""An option that names a file or a folder."""

config = click.option("--config", "file", type=FILE, default="server.toml", show_default=True)
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
