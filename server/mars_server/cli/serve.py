"""``mars-server serve``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mars.commandline import safe
from mars_server.common.config import Config, load_config

_FILE = click.Path(path_type=Path, readable=False)
_NEEDED = ("bind", "motd", "log", "product")


def tell(text: str) -> None:
    """One line for the operator, on stderr; systemd's journal gives it its time."""
    click.echo(f"mars-server: {safe(text)}", err=True)


@click.command()
@click.option("--config", type=_FILE, help="A server.toml; options given here win over it.")
@click.option("--bind", metavar="unix:PATH|127.0.0.1:PORT", help="Where to listen.")
@click.option("--motd", type=_FILE, help="The signed document.")
@click.option("--log", type=_FILE, help="Folder of the access logs.")
@click.option("--product", type=_FILE, help="The product.toml.")
@click.option("--trust", type=_FILE, help="What clients pin; the MOTD is then verified.")
@click.option("--workers", type=click.IntRange(1, 64), help="Serving processes.  [default: 1]")
@click.option("--site", type=_FILE, metavar="DIR", help="Published site, shown as the dashboard.")
@click.option("--chart-cache", type=_FILE, metavar="DIR", help="Keeps charts over a restart.")
@click.option("--metrics", type=_FILE, metavar="PATH", help="Unix socket of Prometheus metrics.")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="One more allowed Host.")
@click.option("--onion", type=_FILE, metavar="DIR", help="Folder of the onion service's key.")
@click.option("--control", metavar="ADDRESS", help="tor's control port or socket, for --onion.")
@click.option("--control-password-file", type=_FILE, help="Where tor wants a password.")
@click.option("--onion-port", type=click.IntRange(1, 65535), help="Virtual port.  [default: 80]")
def serve(
    config: Path | None,
    onion: Path | None,
    control: str | None,
    control_password_file: Path | None,
    onion_port: int | None,
    **options: Any,
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
    wanted = replace(base, **_given(**options), onion=replace(base.onion, **tor))
    missing = [name for name in _NEEDED if not getattr(wanted, name)]
    if missing:
        raise click.UsageError(f"Missing option '--{missing[0]}'.")
    if bool(wanted.onion.folder) != bool(wanted.onion.control):
        raise click.UsageError("--onion and --control go together.")
    return run(wanted, tell)


def _given(**options: Any) -> dict[str, Any]:
    """The options that stand on the command line, paths as text."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in options.items()
        if value not in (None, ())
    }
