"""Options of all parts, and the database under its lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource

from mars.factory import system_clock
from mars_server.cli import options
from mars_server.common.calendar import utc_day
from mars_server.common.config import load_product
from mars_server.storage import Engine
from mars_server.storage.database import counting_lock
from mars_server.storage.triage.deleting import Gone
from mars_server.storage.triage.store import bind, open_triage, require
from mars_server.triage import setup
from mars_server.triage.desk import Desk

db = click.option(
    "--db",
    "url",
    required=True,
    metavar="URL",
    help=f"Database of the error reports: {options.DB}",
)
product = options.path(
    "--product",
    "product_file",
    default="product.toml",
    show_default=True,
    help="product.toml; rules.toml and lists.toml are looked for beside it.",
)
of_product = options.path(
    "--product", "product_file", metavar="F", help="Refuse a database of another product."
)
rules = options.path("--rules", "rules_file", metavar="F", help="Rules elsewhere.")
lists = options.path("--lists", "lists_file", metavar="F", help="Lists elsewhere.")
name = click.argument("name", metavar="GROUP|GUID")

_WAITING = "Another triage is using this database; waiting for it."
_MADE = "Made a new database, {}, which knows no report yet."


@contextmanager
def locked(url: str, product_file: Path | None, *, create: bool = False) -> Iterator[Engine]:
    """The database, which must be that of the product; no other triage changes it meanwhile."""

    def made(where: str) -> None:
        options.say(_MADE.format(where))

    product = load_product(product_file) if product_file else None
    engine = open_triage(url, create=create, made=made)
    try:
        with counting_lock(engine, partial(options.say, _WAITING)):
            if product is not None:
                bind(engine, product.product, product.channel)
            yield engine
    finally:
        engine.dispose()


@contextmanager
def desk(url: str, product_file: Path, rules_file: Path | None) -> Iterator[Desk]:
    """To read from. It must be that of the product, where that is given or lies here: the rules may
    lie elsewhere, without it."""
    source = click.get_current_context().get_parameter_source("product_file")
    is_given = source is not ParameterSource.DEFAULT or product_file.exists()
    product = load_product(product_file) if is_given else None
    engine = open_triage(url, write=False)
    try:
        if product is not None:
            require(engine, product.product, product.channel)
        yield Desk(engine, setup.load_rules(product_file, rules_file))
    finally:
        engine.dispose()


def say_exposed(keys: Iterable[str | Path]) -> None:
    """Of key files that other users may read."""
    for path in map(Path, keys):
        if path.is_file() and path.stat().st_mode & 0o077:
            options.say(f"{path} can be read by other users: chmod 600, and think of new keys.")


def told(gone: Gone) -> str:
    """For people."""
    counted = (options.number(n, name[:-1]) for name, n in gone._asdict().items())
    return ", ".join(counted)


def moment(now: int | None) -> int:
    """Unix seconds."""
    return system_clock().now() if now is None else now


def today(now: int | None = None) -> str:
    """ISO day."""
    return utc_day(moment(now)).isoformat()
