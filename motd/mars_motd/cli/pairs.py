"""``mars-motd key new --intake`` and ``--reports``, and ``key destroy``: what clients seal to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import click

from mars import factory
from mars.commandline import json_option, shown
from mars.wire.keyfile import INTAKE, REPORTS
from mars.wire.product import is_release
from mars.wire.steering import MAX_WEEKS
from mars_motd import pairs
from mars_motd.cli import options
from mars_motd.folder import Folder
from mars_motd.pairs import FILES, Destroyed

WEEKS = 13
MOST_WEEKS = MAX_WEEKS


def new_intake(place: Folder, many: int, phrase: str | None, now: int, as_json: bool) -> None:
    """A pair for each of the next ``many`` weeks that have none."""
    weeks = pairs.weeks_to_make(pairs.public_halves(place, INTAKE), now, many)
    path = pairs.make(place, INTAKE, weeks, phrase, factory.system_chance(), now)
    _tell_made(place, INTAKE, path, {"weeks": weeks}, as_json)


def new_reports(
    place: Folder, releases: Sequence[str], phrase: str | None, now: int, as_json: bool
) -> None:
    """A pair for each of ``releases``."""
    for release in releases:
        if not is_release(release):
            raise click.UsageError(f"--reports takes releases like 0.5.2, not {release!r}.")
    names = list(dict.fromkeys(releases))
    path = pairs.make(place, REPORTS, names, phrase, factory.system_chance(), now)
    _tell_made(place, REPORTS, path, {"releases": names}, as_json)


def _tell_made(
    place: Folder, kind: str, path: Path, made: dict[str, list[str]], as_json: bool
) -> None:
    where, public = shown(place.root), pairs.public_halves(place, kind)
    (names,) = made.values()
    plain = {"ok": True, "secret": str(path), **made, "public": {it: public[it] for it in names}}
    command = "steering" if kind == INTAKE else "registry"
    with options.telling():
        options.tell(as_json, plain, (f"{name}  x25519 {public[name]}" for name in names))
        click.echo(
            f"The secrets are in {shown(path)}: they belong where reports are opened, never on the "
            f"machine that faces the network.",
            err=True,
        )
        out = "" if kind == INTAKE else " --out registry.json"
        click.echo(
            f"{FILES[kind]} has the public halves. Clients learn of them by: mars-motd {command} "
            f"{where}{out}",
            err=True,
        )


def lines(place: Folder) -> Iterator[str]:
    """What ``key list`` tells people of them."""
    for kind, secrets in pairs.held(place).items():
        public = list(pairs.public_halves(place, kind))
        here = sum(name in secrets for name in public)
        if public:
            span = " to ".join(dict.fromkeys((public[0], public[-1])))
            many = f"{len(public)} {'pair' if len(public) == 1 else 'pairs'}"
            yield f"{kind}  {many}, {span}, secrets of {here} here"


def _as_day(_ctx: click.Context, _parameter: click.Parameter, value: str) -> date:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        day = None
    if day is None or str(day) != value:
        raise click.BadParameter(f"{value!r} is not a day like 2026-11-30.")
    return day


@click.command()
@click.argument("place", metavar="DIR|FILE", type=options.FILE)
@click.option(
    "--before",
    required=True,
    callback=_as_day,
    metavar="DATE",
    help="The intake's keys of weeks that ended before this day (UTC) go.",
)
@options.now_option("Default: this computer's clock.")
@json_option("Print one JSON object.")
def destroy(place: Path, before: date, now: int | None, as_json: bool) -> None:
    """Destroy the intake's secret keys of weeks that are over.

    Takes them out of the files in DIR/keys, or out of FILE, a copy where reports are opened; needs
    no passphrase. What was sealed to them can then never be opened again, so count the spools of
    those weeks first. A disk may keep what a file held before: an encrypted one, or a passphrase,
    makes it worthless.
    """
    moment, left = options.clock_or(now), list[str]()
    if place.is_file() or place.suffix == ".secret":
        pairs.require_intake(place)
        gone = pairs.destroy_in([place], before, moment)
    else:
        gone, left = pairs.destroy(Folder.at(place), before, moment)
    plain = {
        "ok": True,
        "destroyed": sorted({week for it in gone for week in it.weeks}),
        "files": {str(it.path): it.left for it in gone},
        "public": left,
    }
    with options.telling():
        options.tell(as_json, plain, map(_line, gone))
        if not gone:
            click.echo(f"No key of a week that ended before {before} is here.", err=True)


def _line(gone: Destroyed) -> str:
    kept = f"{gone.left} keys left" if gone.left else "file removed"
    return f"{shown(gone.path)}: destroyed {', '.join(gone.weeks)}; {kept}"
