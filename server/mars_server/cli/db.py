"""``mars-server db``: what is done to a database as a whole."""

from __future__ import annotations

import click

from mars.commandline import json_option
from mars_server.cli import options


@click.group()
def db() -> None:
    """Move a database of counts or of error reports."""


@db.command()
@click.option("--from", "source", required=True, metavar="URL", help=options.DB)
@click.option("--to", "target", required=True, metavar="URL", help="The same; a new database.")
@json_option()
def move(source: str, target: str, as_json: bool) -> None:
    """Copy a database to another one, such as from SQLite to PostgreSQL or back.

    All or nothing: afterwards each table is read from both and compared. Nothing counts into either
    meanwhile. The old one stays; delete it when server.toml names the new one.
    """
    from mars_server.storage.move import move as run

    moved = run(source, target)
    rows = options.number(sum(moved.values()), "row")
    tables = sum(1 for n in moved.values() if n)
    line = f"{rows} of {options.number(tables, 'table')} are in the new database and were compared."
    options.answer(as_json, {"ok": True, "rows": moved}, line)
    options.say("The old one is still there: name the new one in server.toml, then delete it.")
