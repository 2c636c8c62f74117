"""``mars-motd verify``: what a client would say of a document."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mars import factory
from mars.console import emit_json, safe
from mars.errors import MarsError
from mars.trust import Accepted, RefusedError, TrustState
from mars.trust import verify as judge
from mars.wire.keys import TrustRoot
from mars.wire.times import format_time
from mars_motd import files
from mars_motd.cli.options import FILE, clock_or, now_option, read


@click.command()
@click.argument("document", metavar="F", type=FILE)
@click.option("--trust", required=True, type=FILE, metavar="F", help="What the client pins.")
@now_option("The client's clock. Default: this computer's.")
@click.option(
    "--state", type=FILE, metavar="F", help="The client's memory: read, and written on acceptance."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(document: Path, trust: Path, now: int | None, state: Path | None, as_json: bool) -> None:
    """Judge the document F as a client does that pins the file --trust.

    Exit code 0: accepted; 1: refused, with the reason. Without --state the client is a new
    installation.
    """
    try:
        accepted = _judge(document, trust, clock_or(now), state)
    except MarsError as error:
        if not as_json:
            raise
        emit_json({"ok": False, "reason": error.reason, "message": safe(error.message)})
        sys.exit(1)
    motd = accepted.motd
    if as_json:
        emit_json({"ok": True, "serial": motd.serial, **_facts(accepted)})
        return
    click.echo(f"accepted: {motd.product} {motd.channel}, serial {motd.serial}")
    click.echo(f"issued {format_time(motd.issued)}, expires {format_time(motd.expires)}")
    if not accepted.news:
        click.echo("no news: this very document was accepted before")


def _judge(document: Path, trust: Path, now: int, state: Path | None) -> Accepted:
    root = TrustRoot.decode(read(trust, "The trust file"))
    known = TrustState.initial()
    if state is not None and state.exists():
        known = TrustState.decode(read(state, "The state file"))
    data = read(document, "The document")
    try:
        accepted = judge(data, root, known, now, factory.openpgp())
    except RefusedError as error:
        if state is not None:
            files.replace(state, error.state.encode())
        raise
    if state is not None:
        files.replace(state, accepted.state.encode())
    return accepted


def _facts(accepted: Accepted) -> dict[str, object]:
    motd = accepted.motd
    return {
        "product": motd.product,
        "channel": motd.channel,
        "epoch": motd.epoch,
        "issued": format_time(motd.issued),
        "expires": format_time(motd.expires),
        "news": accepted.news,
        "openpgp": accepted.state.openpgp,
    }
