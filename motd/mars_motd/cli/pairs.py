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


def _as_day(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> date | None:
    if value is None:
        return None
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
    callback=_as_day,
    metavar="DATE",
    help="The intake's keys of weeks that ended before this day (UTC) go.",
)
@click.option(
    "--reports",
    "releases",
    multiple=True,
    metavar="RELEASE",
    help="The keys of error reports of these releases go.",
)
@options.now_option("Default: this computer's clock.")
@json_option("Print one JSON object.")
def destroy(
    place: Path,
    before: date | None,
    releases: tuple[str, ...],
    now: int | None,
    as_json: bool,
) -> None:
    """Destroy the intake's secret keys of weeks that are over, or those of releases.

    Takes them out of the files in DIR/keys, or out of FILE, a copy where reports are opened; needs
    no passphrase. What was sealed to them can then never be opened again, so count the spools of
    those weeks first. A release is withdrawn in this way: take it from [reports] releases, too, and
    sign for a new registry. A disk may keep what a file held before: an encrypted one, or a
    passphrase, makes it worthless.
    """
    if (before is None) == (not releases):
        raise click.UsageError("Give one of --before and --reports.")
    gone, left = (
        _over(place, before, options.clock_or(now)) if before else _withdrawn(place, releases)
    )
    plain = {
        "ok": True,
        "destroyed": sorted({name for it in gone for name in it.names}),
        "files": {str(it.path): it.left for it in gone},
        "public": left,
    }
    with options.telling():
        options.tell(as_json, plain, map(_line, gone))
        if before and not gone:
            click.echo(f"No key of a week that ended before {before} is here.", err=True)
        if releases and left:
            click.echo(
                f"reports.json is without {', '.join(left)}. Clients learn of it by: mars-motd "
                f"registry {shown(place)} --out registry.json",
                err=True,
            )


_Gone = tuple[list[Destroyed], list[str]]
"""Which secrets, and which public halves."""


def _over(place: Path, before: date, now: int) -> _Gone:
    if not _is_key_file(place):
        return pairs.destroy(Folder.at(place), before, now)
    pairs.require_kind(place, INTAKE)
    return pairs.destroy_in([place], before, now), []


def _withdrawn(place: Path, releases: Sequence[str]) -> _Gone:
    if not _is_key_file(place):
        return pairs.withdraw(Folder.at(place), releases)
    pairs.require_kind(place, REPORTS, releases)
    return pairs.withdraw_in([place], releases), []


def _is_key_file(place: Path) -> bool:
    return place.is_file() or place.suffix == ".secret"


def _line(gone: Destroyed) -> str:
    kept = f"{gone.left} keys left" if gone.left else "file removed"
    return f"{shown(gone.path)}: destroyed {', '.join(gone.names)}; {kept}"
