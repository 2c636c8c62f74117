"""``mars fetch``: one fetch now."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mars import factory
from mars.cli import common
from mars.consent import PLAIN, TRACKED
from mars.console import emit_json, json_option, safe
from mars.errors import ConsentError

if TYPE_CHECKING:
    from mars.engine import Engine
    from mars.outcome import Outcome


@click.command(short_help="Fetch the news once, now.")
@click.option("--url", metavar="URL", help="Where the document lies. [default: as pinned]")
@click.option(
    "--trust",
    "trust_file",
    metavar="FILE",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What the application pins, as written by mars-motd trust.",
)
@click.option("--socks", metavar="HOST:PORT", help="Tor's SOCKS port. [default: found by itself]")
@common.state_option
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
    engine = _engine(
        url, common.trusted(trust_file), socks, state_dir, product, app_version, languages
    )
    outcome = _check(engine) if check else engine.fetch(asked=level, url=url)
    if as_json:
        emit_json(_plain(engine, outcome))
    elif not outcome.ok:
        click.echo(f"mars fetch: {safe(outcome.message)} [{outcome.reason}]", err=True)
    elif outcome.news or not quiet:
        from mars.cli.show import print_reading

        print_reading(engine.reading(engine.load()))
        click.echo(f"Fetched at level {outcome.level} by {outcome.route}.", err=True)
    if not outcome.ok:
        sys.exit(1)


def _check(engine: Engine) -> Outcome:
    """Raises why there may be none now."""
    refusal = engine.check_refusal(engine.load())
    outcome = None if refusal else engine.check()
    if outcome is None:
        raise refusal or ConsentError("too-early", "Another check has just begun; wait for it.")
    return outcome


def _engine(
    url: str | None,
    trust: bytes,
    socks: str | None,
    state_dir: Path | None,
    product: str | None,
    version: str,
    languages: str,
) -> Engine:
    from mars.engine import Engine, Ports
    from mars.pinned import Pinned, read_root
    from mars.plan import FILE, App, check_url
    from mars.ports import TorSettings
    from mars.routed import opener

    factory.require_socks(socks)
    root = read_root(trust, product)
    host = factory.this_host()
    place = common.folder(state_dir, root.product, root.channel, host)
    ports = Ports(
        store=factory.folder(place),
        host=host,
        clock=factory.system_clock(),
        chance=factory.system_chance(),
        fetcher=opener(TorSettings(socks=socks, folder=str(Path(place) / "tor"))),
        openpgp=factory.openpgp,
    )
    shipped = tuple(part for part in languages.replace(",", " ").split() if part)
    app = App(root.product, version, "", languages=shipped, built=root.built, by_hand=True)
    known = App.of(Engine(app, trust, ports).load().app)
    address = url or Pinned.of(trust).url or known.url
    if not address.startswith(FILE):
        check_url(address, by_hand=url is not None)
    # What the application itself never wants, a fetch by hand does not do for it either.
    return Engine(replace(app, url=address, ceiling=known.ceiling), trust, ports)


def _plain(engine: Engine, outcome: Outcome) -> dict[str, object]:
    common_part: dict[str, object] = {
        "ok": outcome.ok,
        "reason": outcome.reason,
        "message": safe(outcome.message),
        "level": outcome.level,
        "url": outcome.url,
        "route": outcome.route,
        "status": outcome.status,
    }
    reading = engine.reading(engine.load()) if outcome.ok else None
    if reading is None:
        return common_part
    return common_part | {"new": outcome.news} | reading.plain()
