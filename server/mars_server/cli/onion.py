"""``mars-server onion``: set up the onion service, save its key, spread it over machines."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from mars.commandline import json_option
from mars.errors import ConfigError, StateError, naming
from mars_server.cli import options
from mars_server.common.config import owner
from mars_server.onion import folder as key_folder
from mars_server.onion.settings import OnionSettings, balancer_config, torrc
from mars_server.serving.bind import parse_bind

_dir = options.path("--dir", "folder", required=True, help="The HiddenServiceDir.")
_to = click.option(
    "--to", "target", required=True, metavar="unix:PATH|127.0.0.1:PORT", help="The server's --bind."
)
_port = click.option("--port", type=click.IntRange(1, 65535), default=80, show_default=True)
_balanced = click.option("--balanced", is_flag=True, help="A backend behind Onionbalance.")


@click.group()
def onion() -> None:
    """Set up the onion service that clients reach the server by."""


def _settings(folder: Path, target: str, port: int, balanced: bool) -> OnionSettings:
    """Raises ``ConfigError`` where tor would send requests to another machine, or nowhere."""
    where = parse_bind(target, "--to")
    if not where.path and not where.port:
        raise ConfigError("bind-invalid", "--to takes the port that the server listens on, not 0.")
    return OnionSettings(str(folder.absolute()), where.target, port, balanced=balanced)


@onion.command("torrc")
@_dir
@_to
@_port
@_balanced
@click.option(
    "--no-circuit-ids",
    is_flag=True,
    help="For nginx or Caddy, which answer 400 to tor's PROXY line.",
)
def print_torrc(folder: Path, target: str, port: int, balanced: bool, no_circuit_ids: bool) -> None:
    """Print lines for a torrc: the service with all its defences."""
    settings = _settings(folder, target, port, balanced)
    click.echo(torrc(replace(settings, tells_circuit=not no_circuit_ids)), nl=False)


@onion.command()
@_dir
@_to
@_port
@_balanced
@click.option("--control", required=True, metavar="ADDRESS", help="tor's control port or socket.")
@options.path("--control-password-file", help="Where tor wants a password.")
@click.option("--save", is_flag=True, help="Also write it into tor's torrc (SAVECONF).")
@json_option()
def add(
    folder: Path,
    target: str,
    port: int,
    balanced: bool,
    control: str,
    control_password_file: Path | None,
    save: bool,
    as_json: bool,
) -> None:
    """Add the service to a running tor; other services of that tor stay as they are.

    Without --save tor forgets it when it restarts; mars-server serve --onion adds it again.
    With --balanced the file ob_config must lie in the folder already.
    """
    from mars_server.onion.control import UNDEFENDED, connected, ensure, for_publisher

    settings = _settings(folder, target, port, balanced)
    added, defended = ensure(settings, control, control_password_file or "")
    if save:
        with connected(control, control_password_file or "") as tor:
            tor.save()
    if not defended:
        options.tell(UNDEFENDED)
    name = key_folder.hostname(settings.folder)
    if name and not balanced:
        options.tell(for_publisher(name))
    told = {"address": name, "added": added, "proof_of_work": defended}
    line = name or f"added; its address stands in {folder}/hostname, for tor's user"
    options.answer(as_json, told, line)


@onion.command()
@_dir
def address(folder: Path) -> None:
    """Print the service's address."""
    from mars_server.onion.control import for_publisher

    name = key_folder.hostname(str(folder))
    if name is None:
        raise StateError("onion-key", f"No address: {key_folder.obstacle(str(folder))}.")
    options.tell(for_publisher(name))
    options.show(name)


@onion.command()
@_dir
@click.option("--out", type=click.Path(path_type=Path, allow_dash=True), default="-")
def backup(folder: Path, out: Path) -> None:
    """Write the service's key, for an encrypted backup: ... backup --dir D | gpg -c > onion.gpg"""
    data = key_folder.backup(folder)
    if str(out) == "-":
        sys.stdout.buffer.write(data)
        return
    with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    options.tell(f"{out} holds the key: whoever has it is your service")


@onion.command()
@_dir
@click.option("--from", "source", type=click.Path(path_type=Path, allow_dash=True), default="-")
def restore(folder: Path, source: Path) -> None:
    """Put a backed-up key into a new folder, as tor's user; then add the service again."""
    data = sys.stdin.buffer.read() if str(source) == "-" else source.read_bytes()
    with naming(source):
        options.show(key_folder.restore(folder, data))
    held, above = owner(folder), owner(folder.absolute().parent)
    options.tell(
        f"{folder} is of {held}: tor must run as this user, and its group may read the address"
    )
    if held != above:
        options.tell(f"the folder above is of {above}; if that is tor's: chown -R {above} {folder}")


@onion.command("balance")
@click.option("--key", required=True, help="Onionbalance's key file of the public address.")
@click.option("--front", required=True, metavar="ONION", help="The public address.")
@click.argument("backends", nargs=-1, required=True, metavar="BACKEND…")
def balance(key: str, front: str, backends: tuple[str, ...]) -> None:
    """Print Onionbalance's config.yaml; its comments say what every backend needs."""
    click.echo(balancer_config(key, front, backends), nl=False)
