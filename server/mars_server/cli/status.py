"""``mars-server status``."""

from __future__ import annotations

import contextlib
import os
import pwd
from pathlib import Path

import click

from mars import factory
from mars.commandline import emit_json, json_option, safe
from mars_server.common.config import load_config


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

    The exit code is 1 when something has failed; warnings leave it at 0. Root looks as the user
    whose logs these are, so that what is closed to the server is found out.
    """
    from mars_server.operate.status import FAIL, examine

    config = load_config(file)
    _as_the_server(config.log)
    checks = examine(config, factory.system_clock().now())
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


def _as_the_server(log: str) -> None:
    """Root becomes the owner of the logs: what that user cannot read, the server cannot."""
    with contextlib.suppress(OSError, KeyError):
        if os.geteuid() == 0 and (user := Path(log).stat().st_uid) != 0:
            entry = pwd.getpwuid(user)
            os.initgroups(entry.pw_name, entry.pw_gid)
            os.setgid(entry.pw_gid)
            os.setuid(user)
