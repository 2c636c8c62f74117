"""``mars-server errors console``."""

from __future__ import annotations

from pathlib import Path

import click

from mars.factory import system_chance, system_clock
from mars_server.cli import options
from mars_server.cli.errors import common
from mars_server.cli.settings import TRIAGE, Configured
from mars_server.common.config import load_product, read
from mars_server.onion.authorised import AuthorisedService, client_key, client_keys
from mars_server.serving.bind import parse_bind
from mars_server.storage.triage.store import open_triage
from mars_server.triage import setup

_SEED_BYTES = 32


@click.command(cls=Configured, settings=TRIAGE)
@common.db
@common.product
@common.rules
@options.path("--socket", required=True, metavar="PATH", help="Unix socket of the console.")
@options.path("--onion", metavar="F", help="Key of an onion service; made where F is not there.")
@click.option("--control", metavar="ADDRESS", help="tor's control port or socket, for --onion.")
@options.path("--control-password-file", help="Where tor wants a password.")
@click.option(
    "--authorise",
    multiple=True,
    metavar="KEY|F",
    help="Who may open the onion service: a public key, or a file of them.",
)
def console(
    url: str,
    product_file: Path,
    rules_file: Path | None,
    socket: Path,
    onion: Path | None,
    control: str | None,
    control_password_file: Path | None,
    authorise: tuple[str, ...],
) -> None:
    """Triage in the browser, without scripts: list, show, resolve, note, delete.

    Whoever can open the socket is the operator: it is yours alone (0600, in a folder with 0700).
    Reach it by ssh -N -L 8080:PATH HOST, then http://localhost:8080. With --onion it is an onion
    service too, which only those find whose keys --authorise names. SIGTERM ends it.
    """
    if bool(onion) != bool(control):
        raise click.UsageError("--onion and --control go together.")
    if authorise and onion is None:
        raise click.UsageError("--authorise is for --onion.")
    from mars_server.console.app import Console
    from mars_server.console.pages import Pages
    from mars_server.console.run import Onion, onion_key, serve

    where, service = parse_bind(f"unix:{socket}", "--socket"), None
    if onion is not None and control is not None:
        keys = [key for each in authorise for key in _keys(each)]
        key = onion_key(onion, system_chance().token(_SEED_BYTES))
        found = AuthorisedService(key, where.target, keys)
        service = Onion(found, control, control_password_file or "")
    product = load_product(product_file)
    setup.load_rules(product_file, rules_file)
    with common.locked(url, product_file):
        pass  # it is there, of this product, and its tables are of today
    engine = open_triage(url)
    try:
        desk = Console(
            engine,
            Pages(product),
            product_file,
            rules_file,
            system_clock(),
            system_chance(),
            options.tell,
            service.service.host if service else "",
        )
        serve(desk, socket, options.tell, service)
    finally:
        engine.dispose()


def _keys(given: str) -> list[str]:
    """One that was written out, or those of a file."""
    key = client_key(given)
    if key is not None:
        return [key]
    text = read(given, "The file of public keys", "authorise", most=1 << 16)
    return client_keys(text.decode("utf-8", "replace"), given)
