"""``mars-server doctor`` and ``mars-server retain``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from mars import factory
from mars.console import emit_json
from mars.errors import ConfigError
from mars_server.config import Config, load_config

_config = click.option("--config", "file", type=click.Path(path_type=Path), help="A server.toml.")
_log = click.option("--log", type=click.Path(path_type=Path), help="Folder of the access logs.")
_db = click.option("--db", metavar="URL", help="Database of the counts.")


def _settings(file: Path | None, log: Path | None, db: str | None) -> tuple[Config, Path, str]:
    config = load_config(file) if file else Config()
    folder = log or (Path(config.log) if config.log else None)
    if folder is None:
        raise click.UsageError("Name the logs by --log or --config.")
    if not folder.is_dir():
        raise ConfigError("log-missing", f"{folder} is no folder.")
    return config, folder, db or config.db


@click.command()
@_config
@_log
@_db
@click.option("--json", "as_json", is_flag=True)
def doctor(file: Path | None, log: Path | None, db: str | None, as_json: bool) -> int:
    """Prove that the logs hold no address and that retention ran, by reading every line."""
    from mars_server.doctor import examine
    from mars_server.storage.database import open_database
    from mars_server.storage.overview import overview

    config, folder, url = _settings(file, log, db)
    today = datetime.fromtimestamp(factory.system_clock().now(), UTC).date()
    found = overview(open_database(url)) if url else None
    findings = examine(folder, found, today, config.keep_days)
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
@click.option("--json", "as_json", is_flag=True)
def retain(
    file: Path | None, log: Path | None, db: str | None, dry_run: bool, as_json: bool
) -> None:
    """Delete the logs whose every line is counted and whose week is published."""
    from mars_server.serving.retention import retain as run
    from mars_server.storage.database import open_database
    from mars_server.storage.overview import overview

    _, folder, url = _settings(file, log, db)
    if not url:
        raise click.UsageError("Name the database by --db or --config.")
    found = overview(open_database(url))
    gone = run(folder, found.positions, found.weeks, remove=not dry_run)
    if as_json:
        emit_json({"dry_run": dry_run, "logs": [entry.path.name for entry in gone]})
    else:
        click.echo(f"{len(gone)} log(s) {'would be' if dry_run else 'were'} deleted")
