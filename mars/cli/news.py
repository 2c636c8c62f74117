"""``mars fetch`` and ``mars show``: one fetch now, and the news that was last accepted."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from mars import build, factory
from mars.channels.memory import Memory
from mars.channels.motd import check_url
from mars.channels.news import NewsClient
from mars.channels.reading import Reading, unseen
from mars.cli import common
from mars.commandline import emit_json, json_option, safe
from mars.consent import PLAIN, TRACKED
from mars.core.channel import FILE
from mars.core.journal import Outcome
from mars.core.state import App
from mars.errors import ConsentError, StateError
from mars.pinned import Pinned, read_root
from mars.ports import TorSettings
from mars.wire.times import format_time


@click.command(short_help="Fetch the news once, now.")
@click.option("--url", metavar="URL", help="Where the document lies. [default: as pinned]")
@common.trust_option(
    required=True, help="What the application pins, as written by mars-motd trust."
)
@common.socks_option
@common.state_option()
@common.product_option
@click.option("--app-version", metavar="V", default="", help="Version of the application.")
@click.option(
    "--languages", metavar="LIST", default="en", help="Languages it ships, such as en,is."
)
@click.option(
    "--level",
    type=click.Choice([PLAIN, TRACKED]),
    help="What to send, by your consent for this one fetch alone. [default: as decided]",
)
@click.option(
    "--check",
    is_flag=True,
    help='As a button "check now": plain, at most once an hour, and not before any decision.',
)
@click.option("--quiet", is_flag=True, help="Say nothing where there is nothing new.")
@json_option()
def fetch(
    url: str | None,
    trust_file: Path,
    socks: str | None,
    state_dir: Path | None,
    product: str | None,
    app_version: str,
    languages: str,
    level: str | None,
    check: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Fetch the message of the day once, now, through Tor.

    Nothing is sent unless you have decided so before (mars consent grant), or ask for it with
    --level: plain sends no data at all, tracked the coarse values that mars preview shows.

    Exit code: 0 when a document was accepted, 1 when nothing was sent or it was refused.
    """
    if check and level is not None:
        raise click.UsageError("A check is plain; leave out --level.")
    factory.require_socks(socks)
    place = common.Place(state_dir, product)
    shipped = tuple(part for part in languages.replace(",", " ").split() if part)
    trust = common.trusted(trust_file)
    root = read_root(trust, product)
    app = App(root.product, app_version, "", shipped, channel=root.channel, by_hand=True)
    known = Pinned.of(trust)
    app = replace(app, built=root.built, crowd=root.crowd)
    app = replace(app, server=known.server, steered=known.steered)
    client = _client(url, trust, TorSettings(socks=socks), place, app)
    outcome = _check(client) if check else client.fetch(asked=level, url=url)
    if client.damage is not None:
        click.echo(f"mars fetch: {client.damage}", err=True)
    if as_json:
        emit_json(_plain(client, outcome))
    elif not outcome.ok:
        click.echo(f"mars fetch: {safe(outcome.message)} [{outcome.reason}]", err=True)
    elif outcome.taken.news or not quiet:
        print_reading(client.reading(client.load()))
        click.echo(f"Fetched at level {outcome.level} by {outcome.route}.", err=True)
    if not outcome.ok:
        sys.exit(1)


def _check(client: NewsClient) -> Outcome:
    """Raises why there may be none now."""
    refusal = client.check_refusal(client.load())
    outcome = None if refusal else client.check()
    if outcome is None:
        raise refusal or ConsentError("too-early", "Another check has just begun; wait for it.")
    return outcome


def _client(
    url: str | None, trust: bytes, tor: TorSettings, place: common.Place, app: App
) -> NewsClient:
    """It fetches from ``url``, else from the server that is pinned, else from where the application
    itself says; no address of an earlier fetch by hand.

    Raises ``ConfigError``, among others ``no-url``.
    """
    host = factory.this_host()
    at = replace(place, product=app.product, channel=app.channel).folder(host)
    ports = build.ports(at, tor, host=host)
    known = App.of(NewsClient(app, trust, ports).load().app)
    address = url or Pinned.of(trust).url or ("" if known.by_hand else known.url)
    if not address.startswith(FILE):
        check_url(address, by_hand=url is not None)
    # What the application itself never wants, a fetch by hand does not do for it either.
    return NewsClient(replace(app, url=address, ceiling=known.ceiling), trust, ports)


def _plain(client: NewsClient, outcome: Outcome) -> dict[str, object]:
    told = {"ok": outcome.ok, **vars(outcome), "message": safe(outcome.message)}
    accepted = told.pop("taken")
    reading = client.reading(client.load()) if outcome.ok else None
    return {**told, "new": accepted.news, **reading.plain()} if reading else told


_UPDATES = {
    "up-to-date": "This application is up to date.",
    "update": "Version {newest} is available.",
    "security-update": "Version {newest} is available and closes a security hole.",
}


@click.command(short_help="Show the news that was last accepted.")
@common.where
@click.option("--new", "only_new", is_flag=True, help="Only messages not shown before; marks them.")
def show(place: common.Place, only_new: bool, as_json: bool) -> None:
    """Show the news that was last fetched and accepted. Sends nothing.

    Exit code: 0 when there is news to show, 1 when there is none yet or it has expired.
    """
    client, state = place.client()
    reading = client.reading(state)
    if reading is None:
        raise StateError(
            "no-news",
            "No news was fetched yet: agree to it by mars consent grant and wait for the "
            "application, or run mars fetch --trust FILE with the trust.json that it ships.",
        )
    if only_new:
        reading = replace(
            reading, messages=unseen(reading.messages, Memory.of(state).shown), news=""
        )
        client.mark_seen(reading.messages)
    if as_json:
        emit_json({"ok": reading.stale_since is None, **reading.plain()})
    else:
        print_reading(reading)
    if reading.stale_since is not None:
        sys.exit(1)


def print_reading(reading: Reading | None) -> None:
    """Plain text on stdout. Everything in a ``Reading`` is already safe on a terminal."""
    if reading is None:
        return
    if reading.stale_since is not None:
        click.echo(f"The information is stale since {format_time(reading.stale_since)}.")
        return
    if reading.news:
        click.echo(reading.news)
    for message in reading.messages:
        mark = "" if message.severity == "info" else f"[{message.severity}] "
        click.echo(f"\n{mark}{message.title}")
        for part in (message.text, message.url):
            if part:
                click.echo(part)
    update = _UPDATES.get(reading.update)
    if update:
        click.echo(f"\n{update.format(newest=reading.newest_version)}")
