"""``mars-server status``, ``doctor`` and ``retain``."""

from __future__ import annotations

import contextlib
import os
import pwd
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from mars import factory
from mars.commandline import json_option
from mars.errors import ConfigError
from mars.wire.query import AllowList
from mars_server.cli import options
from mars_server.common.config import Config, load_config, load_product


@click.command()
@options.config
@json_option()
def status(file: Path, as_json: bool) -> int:
    """Show how everything is: document, server, tor, onion, log, count, publication, disk.

    The exit code is 1 when something has failed; warnings leave it at 0. Root looks as the user
    whose logs these are, so that what is closed to the server is found out.
    """
    from mars_server.operate.status import FAIL, examine

    config = load_config(file)
    _as_the_server(config.log)
    checks = examine(config, factory.system_clock().now())
    failed = any(check.state == FAIL for check in checks.values())
    found = {
        name: {"state": one.state, "text": one.text, **one.facts} for name, one in checks.items()
    }
    lines = [f"{one.state:8} {name:12} {one.text}" for name, one in checks.items()]
    options.answer(as_json, {"ok": not failed, "checks": found}, *lines)
    return int(failed)


def _as_the_server(log: str) -> None:
    """Root becomes the owner of the logs: what that user cannot read, the server cannot."""
    with contextlib.suppress(OSError, KeyError):
        if os.geteuid() == 0 and (user := Path(log).stat().st_uid) != 0:
            entry = pwd.getpwuid(user)
            os.initgroups(entry.pw_name, entry.pw_gid)
            os.setgid(entry.pw_gid)
            os.setuid(user)


# --- doctor and retain ---

_config = options.path("--config", "file", help="A server.toml.")
_log = options.path("--log", help="Folder of the access logs.")
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
@options.path("--product", help="The product.toml with the allow-lists.")
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
    from mars_server.operate.status import counted
    from mars_server.storage.database import sqlite_file

    config, folder, url = _settings(file, log, db)
    today = datetime.fromtimestamp(factory.system_clock().now(), UTC).date()
    named = product or config.product
    allow = AllowList.of(load_product(named)) if named else None
    file_of_counts = sqlite_file(url) if url else None
    first_day = file_of_counts is not None and not db and not file_of_counts.exists()
    found = counted(url) if url and not first_day else None
    findings = examine(folder, found, today, config.keep_days, allow, file_of_counts)
    good = all(finding.ok for finding in findings)
    told = {"ok": good, "findings": [asdict(finding) for finding in findings]}
    lines = [f"{'ok' if one.ok else 'BROKEN':8} {one.name:12} {one.text}" for one in findings]
    options.answer(as_json, told, *lines)
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
    from mars_server.operate.doctor import closed_logs
    from mars_server.operate.doctor import retain as run
    from mars_server.operate.status import counted

    _, folder, url = _settings(file, log, db)
    if not url:
        raise click.UsageError("Name the database by --db or --config.")
    found = counted(url)
    gone = run(folder, found.positions, found.weeks, remove=not dry_run)
    for entry in closed_logs(folder):
        if entry.token in found.unread:
            kept = "kept, its lines fitted no format when they were counted: recount its days"
            options.say(f"{entry.path.name}: {kept}")
    told = {"dry_run": dry_run, "logs": [entry.path.name for entry in gone]}
    line = f"{len(gone)} log(s) {'would be' if dry_run else 'were'} deleted"
    options.answer(as_json, told, line)
