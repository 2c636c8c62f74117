"""Options that several commands share, and the lines that all of them print."""

from __future__ import annotations

from pathlib import Path

import click

from mars.commandline import one_line

FILE = click.Path(path_type=Path, readable=False)
"""Whether it can be read is told by who reads it, with what to do about it."""
_HERE = click.Path(exists=True, dir_okay=False, readable=False, path_type=Path)

config = click.option("--config", "file", type=FILE, default="server.toml", show_default=True)
DB = "sqlite:///PATH or postgresql://USER@HOST/NAME."
db = click.option("--db", "url", required=True, metavar="URL", help=DB)
logs = click.argument("logs", nargs=-1, required=True, metavar="LOG…")
product = click.option(
    "--product",
    "product_file",
    required=True,
    type=_HERE,
    help="product.toml with the releases and languages that may be counted.",
)


def show(sentence: str) -> None:
    """A line on stdout."""
    click.echo(one_line(sentence))


def say(sentence: str) -> None:
    """A line on stderr."""
    click.echo(one_line(sentence), err=True)


def tell(sentence: str) -> None:
    """The same in the server's name; systemd's journal gives it its time."""
    say(f"mars-server: {sentence}")
