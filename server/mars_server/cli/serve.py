"""``mars-server serve``, and what comes before it: ``init`` and ``check``."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mars import factory
from mars.commandline import json_option
from mars.errors import ConfigError, MarsError, StateError
from mars_server.cli import options
from mars_server.common.config import (
    Config,
    load_catalogue,
    load_config,
    load_product,
    read,
    require_apart,
    template,
)
from mars_server.serving.bind import parse_bind, parse_metrics

_RUN = Path("/run")
"""Empty after a start of the machine; systemd-tmpfiles makes our folder in it."""
_NEEDED = ("bind", "motd", "log", "product")


@click.command()
@options.path("--config", help="A server.toml; options given here win over it.")
@click.option("--bind", metavar="unix:PATH|127.0.0.1:PORT", help="Where to listen.")
@options.path("--motd", help="The signed document.")
@options.path("--log", help="Folder of the access logs.")
@options.path("--spool", metavar="DIR", help="Takes POST /motd/in, and keeps it here.")
@options.path("--product", help="The product.toml.")
@options.path("--trust", help="What clients pin; the MOTD is then verified.")
@click.option("--workers", type=click.IntRange(1, 64), help="Serving processes.  [default: 1]")
@options.path("--site", metavar="DIR", help="Published site, shown as the dashboard.")
@options.path("--chart-cache", metavar="DIR", help="Keeps charts over a restart.")
@click.option("--metrics", metavar="PATH|127.0.0.1:PORT", help="Where Prometheus gets metrics.")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="One more allowed Host.")
@options.path("--onion", metavar="DIR", help="Folder of the onion service's key.")
@click.option("--control", metavar="ADDRESS", help="tor's control port or socket, for --onion.")
@options.path("--control-password-file", help="Where tor wants a password.")
@click.option("--onion-port", type=click.IntRange(1, 65535), help="Virtual port.  [default: 80]")
def serve(
    config: Path | None,
    onion: Path | None,
    control: str | None,
    control_password_file: Path | None,
    onion_port: int | None,
    **given: Any,
) -> int:
    """Answer MOTD requests from memory and keep a log without addresses.

    SIGTERM ends it with the log complete. SIGHUP, or a new file in the place of the MOTD or of
    product.toml, makes it take over both, if they are valid; otherwise the old ones stay.
    """
    from mars_server.serving.launch import serve as run

    base = load_config(config) if config else Config()
    tor = _given(
        folder=onion, control=control, control_password_file=control_password_file, port=onion_port
    )
    wanted = replace(base, **_given(**given), onion=replace(base.onion, **tor))
    missing = [name for name in _NEEDED if not getattr(wanted, name)]
    if missing:
        raise click.UsageError(f"Missing option '--{missing[0]}'.")
    if bool(wanted.onion.folder) != bool(wanted.onion.control):
        raise click.UsageError("--onion and --control go together.")
    return run(wanted, options.tell)


def _given(**given: Any) -> dict[str, Any]:
    """The options that stand on the command line, paths as text."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in given.items()
        if value not in (None, ())
    }


# --- ``mars-server check`` ---


@click.command()
@options.config
@json_option()
def check(file: Path, as_json: bool) -> int:
    """Validate a server.toml and all it names, without serving anything.

    Run it as the server's user: what that user may not read or write is found out too.
    """
    problems: list[MarsError] = []
    notes: list[str] = []
    try:
        config = load_config(file)
    except MarsError as error:
        problems.append(error)
    else:
        for test in _TESTS:
            try:
                notes += test(config) or ()
            except MarsError as error:
                problems.append(error)
    told = [str(problem) for problem in problems]
    first = problems[0].plain() if problems else {}
    document = {"ok": not problems, **first, "problems": told, "notes": notes}
    good = [] if problems else [f"{file} is good"]
    options.answer(as_json, document, *told, *(f"note: {note}" for note in notes), *good)
    return int(bool(problems))


# Each raises what would keep the server from its work; some give back what only would surprise.


def _names(config: Config) -> None:
    for name in _NEEDED:
        if not getattr(config, name):
            raise ConfigError("config-invalid", f"{name} is not set.")
    if bool(config.onion.folder) != bool(config.onion.control):
        raise ConfigError("config-invalid", "onion.folder and onion.control go together.")


def _trust(config: Config) -> list[str]:
    unset = "trust is not set: signatures are not checked, only form and expiry"
    return [] if config.trust else [unset]


def _bind(config: Config) -> None:
    from mars_server.serving.launch import onion_settings

    address = parse_bind(config.bind)
    if config.onion.folder:
        onion_settings(config, address)


def _sockets(config: Config) -> list[str]:
    """Of those that the server makes."""
    found = {"metrics": parse_metrics(config.metrics)} if config.metrics else {}
    with suppress(ConfigError):  # said already
        found["bind"] = parse_bind(config.bind)
    if len(found) == 2 and found["metrics"] == found["bind"]:
        raise ConfigError("config-invalid", f"bind and metrics are both {found['bind']}.")
    notes = []
    for name, bind in found.items():
        folder = Path(bind.path).parent
        if not bind.path or folder.is_dir():
            continue
        if folder.parent != _RUN:
            raise ConfigError(
                "config-invalid", f"{name}: the folder {folder} does not exist; make it."
            )
        notes.append(f"{name}: {folder} is not there yet; deploy/mars.tmpfiles makes it")
    return notes


def _motd(config: Config) -> list[str]:
    from mars_server.serving.launch import source

    if not config.motd or not config.product:
        return []  # said already
    document = source(config).load(factory.system_clock().now())
    return [*document.flaws, *filter(None, [document.unlisted and document.doubt])]


def _declared(config: Config) -> list[str]:
    """Of metrics.toml and errors.toml, without which no report counts."""
    try:
        product = load_product(config.product)
    except ConfigError:
        return []  # said already
    declared = load_catalogue(config.product).entries
    if declared or not (config.spool or product.statistics_releases):
        return []
    path = Path(config.product).with_name("metrics.toml")
    said = "is not there or declares nothing, nor does errors.toml, so no report would count here"
    return [f"{path} {said}"]


def _answers(config: Config) -> list[str]:
    """Of status.json, which clients ask for once a release takes error reports."""
    from mars_server.serving.motd_source import STATUS

    try:
        releases = load_product(config.product).reports_releases
    except ConfigError:
        return []  # said already
    if not (releases and config.motd):
        return []
    path = Path(config.motd).with_name(STATUS)
    if path.exists():
        return []
    return [f"{path} is not there, and clients ask for it: mars-server errors status makes one"]


def _folders(config: Config) -> None:
    for name, path in (("log", config.log), ("spool", config.spool), ("site", config.site)):
        if path:
            _writable(name, Path(path))


def _writable(name: str, folder: Path) -> None:
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not nearest.is_dir():
        raise ConfigError("config-invalid", f"{name}: {nearest} is no folder.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError("config-invalid", f"{name}: this user cannot write {nearest}.")


def _database(config: Config) -> None:
    if not config.db:
        return
    from mars_server.storage.database import open_database

    try:
        open_database(config.db, create=False).dispose()
    except MarsError as error:
        if error.reason != "database-missing":  # the first count makes it
            raise ConfigError("config-invalid", f"db: {error.message}") from None


def _socks(config: Config) -> None:
    try:
        factory.require_socks(config.socks or None)
    except MarsError as error:
        raise ConfigError("config-invalid", f"socks: {error.message}") from None


def _control(config: Config) -> None:
    if not config.onion.control:
        return
    from mars_server.onion.control import require_address

    require_address(config.onion.control)
    if config.onion.control_password_file:
        read(config.onion.control_password_file, "The password file")


_TESTS: tuple[Callable[[Config], list[str] | None], ...] = (
    _names, require_apart, _trust, _bind, _sockets, _motd, _answers, _declared, _folders, _database,
    _socks, _control,
)  # fmt: skip


# --- ``mars-server init`` ---


@click.command()
@click.argument("file", type=options.FILE, default="server.toml")
def init(file: Path) -> None:
    """Write a commented server.toml to FILE; a folder gets FILE/server.toml."""
    target = file / "server.toml" if file.is_dir() else file
    try:
        with target.open("x") as out:
            out.write(template())
    except FileExistsError:
        raise StateError("exists", f"{target} is there already; nothing was changed.") from None
    options.show(f"wrote {target}; edit it, then: mars-server check --config {target}")
