"""``mars-server status``."""

from __future__ import annotations

from pathlib import Path

import click

from mars import factory
from mars.console import emit_json, json_option, safe
from mars_server.config import load_config


@click.command()
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, readable=False),
    default="server.toml",
    show_default=True,
)
@json_option()
def status(file: Path, as_json: bool) -> int:
    """Show how everything is: document, server, tor, onion, log, count, publication, disk.

    The exit code is 1 when something has failed; warnings leave it at 0.
    """
    from mars_server.status import FAIL, examine

    checks = examine(load_config(file), factory.system_clock().now())
    failed = any(check.state == FAIL for check in checks)
    if as_json:
        found = {
            check.name: {"state": check.state, "text": check.text, **check.facts}
            for check in checks
        }
        emit_json({"ok": not failed, "checks": found})
    else:
        for check in checks:
            click.echo(f"{check.state:8} {check.name:12} {safe(check.text)}")
    return int(failed)
