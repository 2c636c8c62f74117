"""``mars-motd verify``: what a client would say of a document."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from mars.console import emit_json, json_option, shown
from mars.errors import naming
from mars.ports import OpenPGP
from mars.trust import Accepted, RefusedError, TrustState
from mars.trust import verify as judge
from mars.wire.keys import KeysDocument, TrustRoot
from mars.wire.times import format_time
from mars_motd import files
from mars_motd.cli import options
from mars_motd.document import Document
from mars_motd.signatures import Judge, extract_signatures


@click.command()
@click.argument("document", metavar="F", type=options.FILE)
@click.option(
    "--trust", required=True, type=options.FILE, metavar="F", help="What the client pins."
)
@options.now_option("The client's clock. Default: this computer's.")
@options.file_option("--state", "The client's memory: read, and written on acceptance.")
@json_option("Print one JSON object.")
@options.file_option(
    "--extract",
    "Also write signed bytes, keys and signatures there, and print the commands of openssl "
    "and gpgv that verify them.",
    metavar="DIR",
)
def verify(
    document: Path,
    trust: Path,
    now: int | None,
    state: Path | None,
    as_json: bool,
    extract: Path | None,
) -> None:
    """Judge the document F as a client does that pins the file --trust.

    Exit code 0: accepted; 1: refused, with the reason. Without --state the client is a new
    installation.
    """
    moment, openpgp = options.clock_or(now), options.openpgp()
    root = options.read_as(TrustRoot.decode, trust, "The trust file")
    data = options.read(document, "The document")
    with naming(shown(document)):
        accepted = _judge(data, root, moment, state, openpgp)
    commands = _extract(data, root, extract, moment, openpgp) if extract is not None else []
    if state is not None:  # last, so that a command that failed can be given again
        files.replace(state, accepted.state.encode())
    with nullcontext() if state is None and extract is None else options.telling():
        if as_json:
            more = {"commands": commands} if extract is not None else {}
            emit_json({"ok": True, **_facts(accepted), **more})
        else:
            _print(accepted, commands)


def _print(accepted: Accepted, commands: list[str]) -> None:
    motd = accepted.motd
    click.echo(f"accepted: {motd.product} {motd.channel}, serial {motd.serial}")
    click.echo(f"issued {format_time(motd.issued)}, expires {format_time(motd.expires)}")
    if not accepted.news:
        click.echo("no news: this very document was accepted before")
    for command in commands:
        click.echo(command)


def _judge(
    data: bytes, root: TrustRoot, now: int, state: Path | None, openpgp: OpenPGP
) -> Accepted:
    known = TrustState.initial()
    if state is not None and state.exists():
        known = options.read_as(TrustState.decode, state, "The state file")
    try:
        return judge(data, root, known, now, openpgp)
    except RefusedError as error:
        if state is not None:
            files.replace(state, error.state.encode())
        raise


def _extract(data: bytes, root: TrustRoot, target: Path, now: int, openpgp: OpenPGP) -> list[str]:
    """Writes the files of each keys document and of the news; the commands in their order."""
    document = Document.decode(data)
    keys, parts = root.keys, []
    for step in document.envelope.x_keys:
        following = KeysDocument.decode(step.payload)
        if following.epoch > root.epoch:
            by = Judge(openpgp, following.issued, now)
            parts.append(extract_signatures(step, keys, f"epoch-{following.epoch}", by))
            keys = following.keys
    by = Judge(openpgp, document.motd.issued, now)
    parts.append(extract_signatures(document.envelope, keys, "motd", by))
    for contents, _ in parts:
        for name, content in contents.items():
            files.replace(target / name, content)
    return [command for _, commands in parts for command in commands]


def _facts(accepted: Accepted) -> dict[str, object]:
    motd = accepted.motd
    return {
        "serial": motd.serial,
        "product": motd.product,
        "channel": motd.channel,
        "epoch": motd.epoch,
        "issued": format_time(motd.issued),
        "expires": format_time(motd.expires),
        "news": accepted.news,
        "openpgp": accepted.state.openpgp,
    }
