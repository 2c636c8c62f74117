"""``mars-server check``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from mars import factory
from mars.commandline import emit_json, json_option, safe
from mars.errors import ConfigError, MarsError, StateError
from mars_server.common.config import TEMPLATE, Config, load_config, read
from mars_server.serving.bind import parse_bind
from mars_server.serving.launch import onion_settings, source

_RUN = Path("/run")
"""Empty after a start of the machine; systemd-tmpfiles makes our folder in it."""


@click.command()
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, readable=False),
    default="server.toml",
    show_default=True,
)
@json_option()
def check(file: Path, as_json: bool) -> int:
    """Validate a server.toml and all it names, without serving anything.

    Run it as the server's user: what that user may not read or write is found out too.
    """
    try:
        config = load_config(file)
    except MarsError as error:
        return _report(file, [error], [], as_json)
    problems = [found for test in _TESTS if (found := _problem(test, config)) is not None]
    return _report(file, problems, _notes(config), as_json)


def _report(file: Path, problems: list[MarsError], notes: list[str], as_json: bool) -> int:
    if as_json:
        first = {"reason": problems[0].reason, "message": problems[0].message} if problems else {}
        said = {"problems": [str(problem) for problem in problems], "notes": notes}
        emit_json({"ok": not problems, **first, **said})
        return int(bool(problems))
    for problem in problems:
        click.echo(safe(str(problem)))
    for note in notes:
        click.echo(f"note: {safe(note)}")
    if not problems:
        click.echo(f"{file} is good")
    return int(bool(problems))


def _problem(test: Callable[[Config], None], config: Config) -> MarsError | None:
    try:
        test(config)
    except MarsError as error:
        return error
    return None


def _notes(config: Config) -> list[str]:
    """What is no fault, but would surprise."""
    notes = []
    if not config.trust:
        notes.append("trust is not set: signatures are not checked, only form and expiry")
    for name, folder in _socket_folders(config):
        if folder.parent == _RUN and not folder.exists():
            notes.append(f"{name}: {folder} is not there yet; deploy/mars.tmpfiles makes it")
    return notes


def _names(config: Config) -> None:
    for name in ("bind", "motd", "log", "product"):
        if not getattr(config, name):
            raise ConfigError("config-invalid", f"{name} is not set.")
    if bool(config.onion.folder) != bool(config.onion.control):
        raise ConfigError("config-invalid", "onion.folder and onion.control go together.")


def _bind(config: Config) -> None:
    address = parse_bind(config.bind)
    if config.onion.folder:
        onion_settings(config, address)


def _socket_folders(config: Config) -> list[tuple[str, Path]]:
    """Name of the entry and folder, of each unix socket that the server makes."""
    paths = [("bind", config.bind.removeprefix("unix:") if "unix:" in config.bind else "")]
    paths.append(("metrics", config.metrics))
    return [(name, Path(path).parent) for name, path in paths if path]


def _sockets(config: Config) -> None:
    for name, folder in _socket_folders(config):
        if folder.is_dir() or folder.parent == _RUN:
            continue
        raise ConfigError("config-invalid", f"{name}: the folder {folder} does not exist; make it.")


def _motd(config: Config) -> None:
    if not config.motd or not config.product:
        return  # said already
    source(config).load(factory.system_clock().now())


def _folders(config: Config) -> None:
    for name, path in (("log", config.log), ("site", config.site)):
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
    if not config.socks:
        return
    try:
        factory.fetcher(config.socks)
    except MarsError as error:
        raise ConfigError("config-invalid", f"socks: {error.message}") from None


def _control(config: Config) -> None:
    if not config.onion.control:
        return
    from mars_server.onion.control import require_address

    require_address(config.onion.control)
    if config.onion.control_password_file:
        read(config.onion.control_password_file, "The password file")


_TESTS: tuple[Callable[[Config], None], ...] = (
    _names, _bind, _sockets, _motd, _folders, _database, _socks, _control,
)  # fmt: skip


# --- ``mars-server init`` ---


@click.command()
@click.argument("file", type=click.Path(path_type=Path, readable=False), default="server.toml")
def init(file: Path) -> None:
    """Write a commented server.toml to FILE; a folder gets FILE/server.toml."""
    target = file / "server.toml" if file.is_dir() else file
    try:
        with target.open("x") as out:
            out.write(TEMPLATE)
    except FileExistsError:
        raise StateError("exists", f"{target} is there already; nothing was changed.") from None
    click.echo(f"wrote {target}; edit it, then: mars-server check --config {target}")
