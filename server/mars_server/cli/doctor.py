"""``mars-server doctor`` and ``mars-server retain``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from mars import factory
from mars.console import emit_json, json_option, safe
from mars.errors import ConfigError
from mars.wire.query import AllowList
from mars_server.common.config import Config, load_config, load_product
from mars_server.storage.reading import Overview

_config = click.option(
    "--config", "file", type=click.Path(path_type=Path, readable=False), help="A server.toml."
)
_log = click.option(
    "--log", type=click.Path(path_type=Path, readable=False), help="Folder of the access logs."
)
_db = click.option("--db", metavar="URL", help="Database of the counts.")


def _settings(file: Path | None, log: Path | None, db: str | None) -> tuple[Config, Path, str]:
    config = load_config(file) if file else Config()
    folder = log or (Path(config.log) if config.log else None)
    if folder is None:
        raise click.UsageError("Name the logs by --log or --config.")
    if not folder.is_dir():
        raise ConfigError("log-missing", f"{folder} is no folder.")
    return config, folder, db or config.db


def _allow_list(product: str) -> AllowList | None:
    if not product:
        return None
    return AllowList.of(load_product(product))


def _overview(url: str) -> Overview:
    """Raises ``StateError`` (``database-missing``): to look at a database must not make one."""
    from mars_server.storage.database import open_database
    from mars_server.storage.reading import overview

    engine = open_database(url, create=False, write=False)
    try:
        return overview(engine)
    finally:
        engine.dispose()


@click.command()
@_config
@_log
@_db
@click.option(
    "--product",
    type=click.Path(path_type=Path, readable=False),
    help="The product.toml with the allow-lists.",
)
@json_option()
def doctor(
    file: Path | None, log: Path | None, db: str | None, product: Path | None, as_json: bool
) -> int:
    """Prove that the logs hold no address and that retention ran, by reading every line.

    Exit 1 if a promise is broken. Releases that a log declares at its head, since a document called
    them the newest, are known beside those of product.toml. A release that was taken out of
    product.toml makes its lines in older logs look strange: count, publish and retain before you
    remove one.
    """
    from mars_server.operate.doctor import examine
    from mars_server.storage.database import sqlite_file

    config, folder, url = _settings(file, log, db)
    today = datetime.fromtimestamp(factory.system_clock().now(), UTC).date()
    allow = _allow_list(str(product) if product else config.product)
    file_of_counts = sqlite_file(url) if url else None
    first_day = file_of_counts is not None and not db and not file_of_counts.exists()
    found = _overview(url) if url and not first_day else None
    findings = examine(folder, found, today, config.keep_days, allow, file_of_counts)
    good = all(finding.ok for finding in findings)
    if as_json:
        emit_json({"ok": good, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{'ok' if finding.ok else 'BROKEN':8} {finding.name:12} {finding.text}")
    return int(not good)


@click.command()
@_config
@_log
@_db
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option()
def retain(
    file: Path | None, log: Path | None, db: str | None, dry_run: bool, as_json: bool
) -> None:
    """Delete the logs whose every line is counted and whose week is published."""
    from mars_server.operate.retention import closed_logs
    from mars_server.operate.retention import retain as run

    _, folder, url = _settings(file, log, db)
    if not url:
        raise click.UsageError("Name the database by --db or --config.")
    found = _overview(url)
    gone = run(folder, found.positions, found.weeks, remove=not dry_run)
    for entry in closed_logs(folder):
        if entry.token in found.unread:
            told = "kept, its lines fitted no format when they were counted: recount its days"
            click.echo(f"{safe(entry.path.name)}: {told}", err=True)
    if as_json:
        emit_json({"dry_run": dry_run, "logs": [entry.path.name for entry in gone]})
    else:
        click.echo(f"{len(gone)} log(s) {'would be' if dry_run else 'were'} deleted")
