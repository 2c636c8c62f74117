"""``mars-motd preview``: what installations would show."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mars.commandline import emit_json, json_option, safe
from mars.wire import envelope as envelopes
from mars.wire import motd as motds
from mars.wire.envelope import MOTD_TYPE, Envelope
from mars.wire.motd import Motd
from mars.wire.product import PLATFORMS, Product, is_release
from mars.wire.variables import DEV
from mars_motd import document
from mars_motd import epochs as ep
from mars_motd import preview as views
from mars_motd.cli import options
from mars_motd.folder import Folder
from mars_motd.preview import Reader, View

_MEMBERS = {"version": "version", "os": "platform", "lang": "language"}


@click.command()
@options.folder_argument
@click.option(
    "--as",
    "reader",
    metavar="version=V,os=OS,lang=L",
    help="One installation, in full. Left out: the newest release, linux, en.",
)
@options.file_option("--file", "Show a signed document instead of the texts.")
@options.now_option("The installation's clock. Default: this computer's.")
@json_option("Print JSON.")
def preview(
    folder: Path, reader: str | None, file: Path | None, now: int | None, as_json: bool
) -> None:
    """Show what installations would show, by the client's own rules.

    Without --as: a table over all known releases, platforms and languages. With --file F and
    without --as: all that F says, also what nobody would be shown; F may be a keys document.
    """
    place = Folder.at(folder)
    product, moment = place.product, options.clock_or(now)
    if file is not None and reader is None:
        _print_all(
            options.read_as(envelopes.decode, file, "The document"), product, moment, as_json
        )
        return
    motd = _signed(file) if file is not None else _draft(place, moment)
    if reader is not None:
        one = views.view(motd, _reader(reader, motd), moment)
        if as_json:
            emit_json(asdict(one))
        else:
            _print(one, motd)
        return
    table = views.table(motd, product, moment)
    if as_json:
        emit_json([asdict(item) for item in table])
    else:
        for line in views.table_lines(table):
            click.echo(line)


def _draft(place: Folder, moment: int) -> Motd:
    content = place.content()
    content.require()
    return document.compose(place.product, content, ep.number(place), moment)


def _signed(file: Path) -> Motd:
    return options.read_as(document.Document.decode, file, "The document").motd


def _print_all(envelope: Envelope, product: Product, moment: int, as_json: bool) -> None:
    """Everything that a holder would put a signature under."""
    payload, said, table = views.payload(envelope), list[str](), list[View]()
    if envelope.payload_type == MOTD_TYPE:
        motd = motds.decode(envelope.payload)
        said, table = document.strange_settings(motd, product), views.table(motd, product, moment)
    if as_json:
        emit_json(
            {
                "payload_type": envelope.payload_type,
                "payload": payload,
                "unknown": views.unknown(envelope),
                "warnings": said,
                "table": [asdict(item) for item in table],
            }
        )
        return
    rows = ["", *views.table_lines(table)] if table else []
    for line in [*views.payload_lines(envelope), *rows]:
        click.echo(line)
    for warning in said:
        click.echo(f"warning: {safe(warning)}", err=True)


def _reader(text: str, motd: Motd) -> Reader:
    newest = motd.newest_version if is_release(motd.newest_version) else DEV
    values = {"version": newest, "platform": "linux", "language": "en"}
    for part in text.split(","):
        name, found, value = part.strip().partition("=")
        if name not in _MEMBERS or not found or not value:
            raise click.UsageError(f"--as takes version=…, os=… and lang=…, not {part!r}.")
        values[_MEMBERS[name]] = value.strip()
    if values["platform"] not in (*PLATFORMS, views.OTHER_PLATFORM):
        raise click.UsageError(f"os is one of {', '.join(PLATFORMS)}, other.")
    return Reader(**values)


def _print(view: View, motd: Motd) -> None:
    reader = view.reader
    shown = f"version {reader.version} on {reader.platform}, language {reader.language}"
    click.echo(safe(shown))
    newest = f" (newest: {motd.newest_version})" if is_release(motd.newest_version) else ""
    if motd.newest_version and not newest:
        newest = " (newest_version is no release, so clients ignore it)"
    click.echo(f"status: {view.status}{newest}")
    if motd.news:
        click.echo(f"\n{safe(motd.news)}")
    for item in view.shown:
        click.echo(f"\n[{item.kind}, {item.severity}] {item.title}  ({item.id}, {item.language})")
        if item.text:
            click.echo(item.text)
        if item.url:
            click.echo(item.url)
    if not view.shown:
        click.echo("\nno messages")
