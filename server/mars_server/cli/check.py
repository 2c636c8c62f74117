"""``mars-server check``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from mars import factory
from mars.console import emit_json
from mars.errors import ConfigError, MarsError
from mars.wire.product import parse_product
from mars_server.config import Config, load_config
from mars_server.serving.bind import parse_bind
from mars_server.serving.launch import onion_settings, read, source


@click.command()
@click.option(
    "--config", "file", type=click.Path(path_type=Path), default="server.toml", show_default=True
)
@click.option("--json", "as_json", is_flag=True)
def check(file: Path, as_json: bool) -> int:
    """Validate a server.toml and all it names, without serving anything."""
    config = load_config(file)
    problems = [found for test in _TESTS if (found := _problem(test, config)) is not None]
    if as_json:
        emit_json({"ok": not problems, "problems": problems})
    for problem in problems if not as_json else ():
        click.echo(problem)
    if not problems and not as_json:
        click.echo(f"{file} is good")
    return int(bool(problems))


def _problem(test: Callable[[Config], None], config: Config) -> str | None:
    try:
        test(config)
    except MarsError as error:
        return str(error)
    return None


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
    if address.path and not Path(address.path).parent.is_dir():
        raise ConfigError("bind-invalid", f"The folder of {address.path} does not exist.")


def _motd(config: Config) -> None:
    product = parse_product(read(config.product, "The product file"), config.product)
    source(config, product).load(factory.system_clock().now())


def _folders(config: Config) -> None:
    for name, path in (("log", config.log), ("site", config.site)):
        if not path:
            continue
        folder = Path(path)
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise ConfigError("config-invalid", f"{name}: this user cannot write {nearest}.")


_TESTS: tuple[Callable[[Config], None], ...] = (_names, _bind, _motd, _folders)
