"""``mars-server up``."""

from __future__ import annotations

import os
import pwd
import sys
from functools import partial
from pathlib import Path

import click

from mars.commandline import json_option
from mars.factory import system_chance, system_clock
from mars.wire.times import DAY, WEEK
from mars_server.cli import options
from mars_server.common.config import read
from mars_server.up import setup
from mars_server.up.run import Up, alone
from mars_server.up.schedule import Job
from mars_server.up.setup import SETTINGS

_DATA = "mars"
"""The folder that is proposed."""


@click.command()
@options.path("--data", metavar="DIR", help="Folder of the whole server; made where none is.")
@options.path(
    "--product",
    "product_file",
    metavar="F",
    help="The publisher's product.toml.  [default: DIR/product.toml]",
)
@options.path(
    "--motd", metavar="F", help="The signed document, once it is there.  [default: DIR/motd.json]"
)
@options.path(
    "--trust", metavar="F", help="What clients pin, once it is there.  [default: DIR/trust.json]"
)
@click.option("--control", metavar="ADDRESS", help="Control port or socket of the tor to use.")
@options.path("--torrc", metavar="F", help="Further lines for a tor of our own, such as bridges.")
@click.option("--check", is_flag=True, help="Only say what would be done.")
@json_option()
def up(
    data: Path | None,
    product_file: Path | None,
    motd: Path | None,
    trust: Path | None,
    control: str | None,
    torrc: Path | None,
    check: bool,
    as_json: bool,
) -> int:
    """Run a whole server: tor and onion service, the document, logs, counts and the dashboard.

    All of it lies in DIR. The document and what clients pin may come later: they need the address
    that this prints. Logs are counted every night, and complete weeks published on Wednesdays.
    Ctrl-C or SIGTERM ends all of it. Root becomes the owner of DIR.
    """
    folder = _asked(data)
    _become_owner(folder)
    folder = folder.absolute()
    if product_file is None and not (folder / SETTINGS).exists():
        product_file = _asked_product(folder / "product.toml")
    given = {"motd": motd and motd.absolute(), "trust": trust and trust.absolute()}
    config, place, text = setup.settled(folder, product_file, control, given, system_chance())
    lines = read(torrc, "The torrc").decode("utf-8", "replace").splitlines() if torrc else []
    show = partial(options.answer, as_json)
    server = Up(folder, config, place, options.tell, show, system_clock(), tuple(lines))
    if check:
        return _checked(server, text, as_json)
    setup.make(folder, text)
    with alone(folder):
        return server.run()


def _asked(data: Path | None) -> Path:
    if data is not None:
        return data
    if not sys.stdin.isatty():
        raise click.UsageError("Missing option '--data'.")
    return Path(click.prompt("Folder for the server", default=_DATA, err=True))


def _asked_product(usual: Path) -> Path:
    if usual.exists():
        return usual
    if not sys.stdin.isatty():
        raise click.UsageError(f"Missing option '--product', and there is no {usual}.")
    return Path(click.prompt("The publisher's product.toml", err=True))


def _become_owner(folder: Path) -> None:
    if os.geteuid() == 0 and folder.exists() and (user := folder.stat().st_uid) != 0:
        entry = pwd.getpwuid(user)
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(user)
        os.environ["HOME"] = entry.pw_dir


def _checked(server: Up, text: str, as_json: bool) -> int:
    place, schedule = server.place, server.schedule
    told, lines = server.announcement()
    settings = server.data / SETTINGS
    tor = "a tor of its own" if place.is_ours else f"the tor at {place.control}"
    why = f", as this one cannot be used: {place.why}" if place.why else ""
    plan = [
        f"{settings} would be written" if text else f"{settings} is there and stays",
        f"{tor} would carry the onion service in {place.onion}{why}",
        *(f"mars-server {' '.join(job.words)} would run {_often(job)}" for job in schedule.jobs),
    ]
    document = {
        "ok": True,
        "writes_settings": bool(text),
        "tor": "own" if place.is_ours else place.control,
        **told,
        "jobs": [{"name": job.name, "seconds": job.every} for job in schedule.jobs],
    }
    options.answer(as_json, document, *plan, *lines)
    return 0


def _often(job: Job) -> str:
    names = {DAY: "every night", WEEK: "on Wednesdays"}
    return names.get(job.every, f"every {job.every // 60} minutes")
