"""``mars-server init``."""

from __future__ import annotations

from pathlib import Path

import click

from mars.errors import StateError
from mars_server.config import TEMPLATE


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
