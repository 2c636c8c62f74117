"""``mars-server status``, ``doctor`` and ``retain``."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mars import factory
from mars.commandline import json_option, told
from mars.errors import ConfigError, MarsError
from mars.wire.query import AllowList
from mars_server.cli import options
from mars_server.common.config import Config, load_config, load_product

if TYPE_CHECKING:
    from mars_server.operate.doctor import Closed
    from mars_server.storage.reading import Overview


class _Plugin(click.Command):
    """With ``--nagios`` whatever else goes wrong is told as monitoring plugins do: UNKNOWN."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if "--nagios" not in args:
            return super().make_context(info_name, args, parent, **extra)
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.ClickException as error:
            _unknown(error.format_message())

    def invoke(self, ctx: click.Context) -> Any:
        if not ctx.params["nagios"]:
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except Exception as error:  # noqa: BLE001 - a defect too must be none of the other three
            reason, message = told(error)
            _unknown(f"{message} [{reason}]")


def _unknown(why: str) -> NoReturn:
    options.show(f"MARS UNKNOWN - {why}")
    raise SystemExit(UNKNOWN)


UNKNOWN = 3
"""Exit code of a monitoring plugin that could not look."""


@click.command(cls=_Plugin)
@options.config
@click.option("--nagios", is_flag=True, help="Print and exit as a monitoring plugin: 0, 1, 2 or 3.")
@options.path("--textfile", metavar="FILE", help="Write metrics for node_exporter, print nothing.")
@json_option()
def status(file: Path, nagios: bool, textfile: Path | None, as_json: bool) -> int:
    """Show how everything is: document, answers to error reports, server, tor, onion, log, spool,
    count, publication, doctor and disk.

    The exit code is 1 when something has failed; warnings leave it at 0. With --nagios it is 1 for
    a warning, 2 for a failure and 3 where the settings cannot be read. Root looks as the user whose
    logs these are, so that what is closed to the server is found out.
    """
    from mars_server.operate import monitors
    from mars_server.operate.status import FAIL, examine

    if nagios and as_json:
        raise click.UsageError("--nagios and --json exclude each other.")
    config = load_config(file)
    _as_the_server(config.log)
    now = factory.system_clock().now()
    checks = examine(config, now)
    if textfile is not None:
        monitors.write(textfile, checks, now)
    if nagios:
        code, lines = monitors.plugin(checks, now)
        options.answer(False, None, *lines)
        return code
    failed = any(check.state == FAIL for check in checks.values())
    found = {
        name: {"state": one.state, "text": one.text, **one.facts, "metrics": one.figures}
        for name, one in checks.items()
    }
    lines = [f"{one.state:8} {name:12} {one.text}" for name, one in checks.items()]
    if textfile is None or as_json:
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

_config = options.path("--config", "file", help=options.SETTINGS)
_log = options.path("--log", help="Folder of the access logs.")
_spool = options.path("--spool", metavar="DIR", help="Folder of the spools.")
_db = click.option("--db", metavar="URL", help="Database of the counts.")
_triage_db = click.option("--triage-db", metavar="URL", help="Database of the error reports.")


def _settings(
    file: Path | None,
    log: Path | None,
    spool: Path | None,
    db: str | None,
    triage_db: str | None,
    *,
    spools_alone: bool = False,
) -> Config:
    """The folders and the database, whichever way they were named."""
    if not (file or log or spool):
        file = options.settings_file()
    config = load_config(file) if file else Config()
    config = replace(
        config,
        log=str(log or config.log),
        spool=str(spool or config.spool),
        db=db or config.db,
        triage_db=triage_db or config.triage_db,
    )
    if not (config.log or (spools_alone and config.spool)):
        raise click.UsageError("Name the logs by --log, or a server.toml by --config.")
    for kind, folder in (("log", config.log), ("spool", config.spool)):
        if folder and not Path(folder).is_dir():
            raise ConfigError(f"{kind}-missing", f"{folder} is no folder.")
    return config


def _today() -> date:
    return datetime.fromtimestamp(factory.system_clock().now(), UTC).date()


@click.command()
@_config
@_log
@_spool
@_db
@_triage_db
@options.path("--product", help="The product.toml with the allow-lists.")
@json_option()
def doctor(
    file: Path | None,
    log: Path | None,
    spool: Path | None,
    db: str | None,
    triage_db: str | None,
    product: Path | None,
    as_json: bool,
) -> int:
    """Prove that logs and spools hold no address and that retention ran, by reading every line.

    Exit 1 if a promise is broken; the database of the counts remembers it for status. Releases that
    a log declares at its head, since a document called them the newest, are known beside those of
    product.toml. A release that was taken out of product.toml makes its lines in older logs look
    strange: count, publish and retain before you remove one.
    """
    from mars_server.operate import spools
    from mars_server.operate.doctor import examine
    from mars_server.operate.status import counted
    from mars_server.storage.database import sqlite_file

    config, today = _settings(file, log, spool, db, triage_db), _today()
    named = product or config.product
    allow = AllowList.of(load_product(named)) if named else None
    file_of_counts = sqlite_file(config.db) if config.db else None
    first_day = file_of_counts is not None and not db and not file_of_counts.exists()
    found = counted(config.db) if config.db and not first_day else None
    folder = Path(config.log)
    findings = examine(folder, found, today, config.keep_days, allow, file_of_counts)
    if config.spool:
        read = _read(found, _triaged(config))
        findings += spools.examine(Path(config.spool), read, today, config.keep_spool_days)
    broken = sum(not finding.ok for finding in findings)
    good = not broken
    if found is not None:
        _remember(config.db, file_of_counts, broken)
    told = {"ok": good, "findings": [asdict(finding) for finding in findings]}
    lines = [f"{'ok' if one.ok else 'BROKEN':8} {one.name:16} {one.text}" for one in findings]
    options.answer(as_json, told, *lines)
    return int(not good)


def _remember(url: str, file: Path | None, broken: int) -> None:
    """For ``status``, where the database is this user's: what root writes beside another's file,
    its owner could not open."""
    from mars_server.storage.database import open_database
    from mars_server.storage.ledger import note_doctor

    if file is not None and file.stat().st_uid != os.geteuid():
        return
    with contextlib.suppress(MarsError):  # a reader's findings are told all the same
        engine = open_database(url, create=False)
        try:
            note_doctor(engine, broken, factory.system_clock().now())
        finally:
            engine.dispose()


@click.command()
@_config
@_log
@_spool
@_db
@_triage_db
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option()
def retain(
    file: Path | None,
    log: Path | None,
    spool: Path | None,
    db: str | None,
    triage_db: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Delete the logs whose every line is counted and whose week is published, and old spools.

    A spool goes when every database that is named, of the counts and of the error reports, has read
    it to the end, or keep_spool_days (35) after it was closed, read or not. Without a database only
    the latter is done.
    """
    from mars_server.operate import spools
    from mars_server.operate.doctor import closed_logs
    from mars_server.operate.doctor import retain as run
    from mars_server.operate.status import counted

    config = _settings(file, log, spool, db, triage_db, spools_alone=True)
    if not config.db and not config.spool:
        raise click.UsageError("Name the database by --db or --config.")
    found = counted(config.db) if config.db else None
    folder = Path(config.log)
    counts = found if config.log else None
    gone = run(folder, counts.positions, counts.weeks, remove=not dry_run) if counts else []
    for entry in closed_logs(folder) if counts else ():
        if counts and entry.token in counts.unread:
            kept = "kept, its lines fitted no format when they were counted: recount its days"
            options.say(f"{entry.path.name}: {kept}")
    told: dict[str, object] = {"dry_run": dry_run, "logs": [entry.path.name for entry in gone]}
    lines = [_gone(len(gone), "log", dry_run=dry_run)] if counts else []
    if config.spool:
        triaged = _triaged(config)
        same = [] if found is None else [_same_spools(config.db)]
        if triaged is not None:
            tails = {spool: tail for spool, (_, tail) in triaged.items()}
            same.append(partial(spools.is_triaged, tails))
        old = spools.retain(
            Path(config.spool),
            _read(found, triaged),
            _today(),
            config.keep_spool_days,
            remove=not dry_run,
            is_same=lambda spool: all(is_same(spool) for is_same in same),
        )
        told["spools"] = [entry.path.name for entry in old]
        lines.append(_gone(len(old), "spool", dry_run=dry_run))
    options.answer(as_json, told, *lines)


def _triaged(config: Config) -> dict[str, tuple[int, str]] | None:
    """What triage has read, nothing before its database is made; None where none is named."""
    if not config.triage_db:
        return None
    from mars_server.storage.database import sqlite_file
    from mars_server.storage.triage.store import open_triage, positions

    file = sqlite_file(config.triage_db)
    if file is not None and not file.exists():
        return {}

    engine = open_triage(config.triage_db, write=False)
    try:
        return positions(engine)
    finally:
        engine.dispose()


def _read(
    found: Overview | None, triaged: Mapping[str, tuple[int, str]] | None
) -> list[Mapping[str, int]]:
    """How far each database that is named has read the spools."""
    read: list[Mapping[str, int]] = [] if found is None else [found.positions]
    if triaged is not None:
        read.append({spool: size for spool, (size, _) in triaged.items()})
    return read


def _same_spools(url: str) -> Callable[[Closed], bool]:
    """Of a spool that seems to be read: whether the database read this one; else that is told."""
    from mars_server.counting.foreign.known_logs import Register
    from mars_server.operate.spools import is_counted
    from mars_server.storage import open_database
    from mars_server.storage.ledger import Ledger

    register = Register(Ledger(open_database(url, create=False)), 1)

    def is_same(spool: Closed) -> bool:
        if same := is_counted(register, spool):
            return same
        options.say(f"{spool.path.name}: kept, another spool with its id was counted in its place")
        return same

    return is_same


def _gone(n: int, what: str, *, dry_run: bool) -> str:
    done = "would be" if dry_run else "was" if n == 1 else "were"
    return f"{options.number(n, what)} {done} deleted"
