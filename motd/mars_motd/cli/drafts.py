"""``mars-motd init``, ``new``, ``check`` and ``preview``: the texts before anything is signed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from mars.commandline import json_option, safe, shown
from mars.errors import ConfigError, MarsError, StateError, WireError
from mars.wire import envelope as envelopes
from mars.wire.envelope import MAX_ENVELOPE, Envelope
from mars.wire.keyfile import INTAKE
from mars.wire.motd import KINDS, SEVERITIES, Motd
from mars.wire.product import PLATFORMS, Product, is_name, is_release
from mars.wire.times import day_of
from mars.wire.url import is_onion_server
from mars.wire.variables import DEV
from mars_motd import document, files, kinds, pairs, registry, steering, template
from mars_motd import epochs as ep
from mars_motd import preview as views
from mars_motd.cli import options
from mars_motd.document import NO_SERVER
from mars_motd.folder import Content, Folder
from mars_motd.kinds import NEWS, RELEASE, STEERING, Kind
from mars_motd.messages import parse_message
from mars_motd.preview import Reader, View
from mars_motd.riders import D
from mars_motd.toml_files import Problem, line_of

_SIGNATURE_ROOM = 2048
"""Bytes set aside for the signatures of a document that is not signed yet."""
_MEMBERS = {"version": "version", "os": "platform", "lang": "language"}


@click.command()
@options.folder_argument
@click.option("--product", required=True, metavar="NAME", help="a-z, 0-9 and inner hyphens.")
@click.option("--channel", default="stable", show_default=True, metavar="NAME")
@click.option(
    "--server",
    "servers",
    multiple=True,
    metavar="ADDRESS",
    help="The onion service that clients ask, as mars-server onion address prints it.",
)
def init(folder: Path, product: str, channel: str, servers: tuple[str, ...]) -> None:
    """Make the product folder DIR.

    Writes product.toml, an empty registry (metrics.toml, errors.toml) and messages/. Next come
    "mars-motd key new" and "mars-motd sign"; both work without any editing.
    """
    for option, name in (("--product", product), ("--channel", channel)):
        if not is_name(name):
            raise click.UsageError(f"{option} takes 1-40 characters of a-z, 0-9, inner hyphens.")
    urls = [f"http://{server.removeprefix('http://')}" for server in servers]
    if not all(map(is_onion_server, urls)):
        raise click.UsageError(
            "--server takes an onion address, http://<56 characters>.onion; one whose last "
            "characters do not fit the rest was not copied whole."
        )
    where = shown(folder)
    if files.exists(folder / "product.toml"):
        raise ConfigError("product-exists", f"{folder} holds a product.toml already.")
    for name, text in (
        ("metrics.toml", template.METRICS_TOML),
        ("errors.toml", template.ERRORS_TOML),
    ):
        with suppress(FileExistsError):
            files.create(folder / name, text.encode())
    _ignore_secrets(folder / ".gitignore", template.GITIGNORE.encode())
    (folder / "messages").mkdir(exist_ok=True)
    files.replace(folder / "product.toml", template.product_toml(product, channel, urls).encode())
    with options.telling():
        click.echo(f"Made {where} for {product}. Next: mars-motd key new {where}", err=True)
        if not servers:
            click.echo(f"Not yet: {NO_SERVER}", err=True)


def _ignore_secrets(path: Path, rules: bytes) -> None:
    """Puts ``rules`` before what stands there already."""
    there = files.read(path) if files.exists(path) else b""
    if rules not in there:
        files.replace(path, rules + there)


@click.command()
@options.folder_argument
@click.argument("name", metavar="ID")
@click.option("--title", default="", metavar="TEXT", help="Given: no editor is opened.")
@click.option("--text", default="", metavar="TEXT", help="The body, plain text.")
@click.option("--language", default="en", show_default=True, metavar="L", help="Of title and text.")
@click.option("--kind", type=click.Choice(KINDS), default="news", show_default=True)
@click.option("--severity", type=click.Choice(SEVERITIES), default="info", show_default=True)
@click.option("--url", default="", metavar="URL", help="https://…, or http://<v3 onion>/…")
@click.option("--versions", default="", metavar="SPEC", help='Only these, such as ">=0.1,<0.1.3".')
@click.option("--platform", "platforms", multiple=True, metavar="OS", help="Only these.")
@click.option("--for-language", "languages", multiple=True, metavar="L", help="Only these.")
def new(folder: Path, name: str, title: str, **entries: Any) -> None:
    """Write messages/ID.toml, from the options or in $VISUAL or $EDITOR.

    Add translations to the file later; "mars-motd check" says what is missing.
    """
    place = Folder.at(folder)
    if not name.isascii() or not name.replace("-", "").replace(".", "").replace("_", "").isalnum():
        raise click.UsageError("ID takes A-Z, a-z, 0-9, dot, hyphen and underscore.")
    target = place.root / "messages" / f"{name}.toml"
    if target.exists():
        raise ConfigError("message-exists", f"{target} exists already; edit it.")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not title and not editor:
        raise click.UsageError("Give --title, or set $EDITOR to write the message in an editor.")
    data = template.message_toml(title or "…", **entries).encode()
    if title:
        _require_good(place, data, target)
    files.replace(target, data)
    if not title:
        try:
            _edit(editor or "", target)
        except MarsError as error:
            raise type(error)(error.reason, f"{error.message} {_put_aside(target, data)}") from None
        if files.read(target) == data:
            target.unlink()
            raise StateError("unchanged", f"Nothing was written; {target} was removed again.")
        _require_good(place, files.read(target), target)
    with options.telling():
        click.echo(shown(target))


def _put_aside(target: Path, data: bytes) -> str:
    """What an editor that failed leaves must not be published: the next ``sign`` would take it."""
    if files.exists(target) and files.read(target) != data:
        aside = target.replace(target.with_name(f"{target.name}.unfinished"))
        return f"What was written lies in {aside}."
    target.unlink(missing_ok=True)
    return "Nothing was written."


def _edit(editor: str, target: Path) -> None:
    """Runs the user's editor on the file, without a shell."""
    try:
        done = subprocess.run([*shlex.split(editor), str(target)], check=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            "editor-failed", f"The editor {editor!r} did not start: {error}"
        ) from None
    if done.returncode != 0:
        raise StateError("editor-failed", f"The editor ended with code {done.returncode}.")


def _require_good(place: Folder, data: bytes, target: Path) -> None:
    """Prints problems; raises ``ConfigError`` (``content-invalid``) where there is an error."""
    draft = parse_message(data, shown(target), target.stem, place.product)
    for problem in draft.problems:
        click.echo(safe(str(problem)), err=True)
    if draft.message is None:
        if target.exists():
            sys.exit(1)
        raise ConfigError("content-invalid", "The message was not written; repair the options.")


@click.command()
@options.folder_argument
@options.now_option("Judge dates at this time. Default: now.")
@json_option("Print JSON.")
def check(folder: Path, now: int | None, as_json: bool) -> None:
    """Check product.toml, messages, downloads and registry of DIR; exit code 1 on any error.

    Of declared statistics and error events: whether they are complete, end, could identify
    somebody, and tell no more than a privacy budget allows. Each problem names file and line.
    Warnings do not keep a document from being signed.
    """
    place = Folder.at(folder)
    content = place.content()
    problems = [*content.problems, *_policy_problems(place), *_size_problems(place, content)]
    declared = registry.read(place, day_of(options.clock_or(now)))
    problems += [*place.downloads().problems, *declared.problems]
    problems += _unsigned(place, declared)
    errors = [problem for problem in problems if not problem.warning]
    plain = {
        "ok": not errors,
        "messages": len(content.messages),
        "problems": [vars(problem) for problem in problems],
    }
    options.tell(as_json, plain, (safe(str(problem)) for problem in problems))
    if not as_json:
        said = f"{len(errors)} to repair" if errors else "nothing to repair"
        many = f"{len(content.messages)} messages, {registry.many(declared.catalogue)}"
        click.echo(f"{shown(place.root)}: {many}, {said}", err=True)
    sys.exit(1 if errors else 0)


def _unsigned(place: Folder, declared: registry.Draft) -> Iterator[Problem]:
    """Where what is written is not what clients will be told, or should not be."""
    if told := registry.stale(declared, registry.document(place)):
        yield Problem(shown(place.root / registry.METRICS), 1, told, warning=True)
    path = place.root / pairs.FILES[INTAKE]
    public = pairs.public_halves(place, INTAKE)
    for doubt in pairs.doubts(place, steering.signed_intake(place), public):
        yield Problem(shown(path), 1, doubt, warning=True)


def _policy_problems(place: Folder) -> list[Problem]:
    """Whether clients know a server, the keys fit the policy, and an edit of it waits for a
    rotation."""
    product, path = place.product, place.root / "product.toml"
    where = shown(path)
    found = []
    if not product.servers:
        line = line_of(files.read(path).decode("utf-8-sig"), "servers")
        found.append(Problem(where, line, NO_SERVER, warning=True))
    try:
        keys = ep.load(place).keys
    except ConfigError as error:
        return [*found, Problem(where, 1, error.message, warning=error.reason == "no-keys")]
    policy, held = product.policy, {name: role.threshold for name, role in keys.roles.items()}
    if keys.policy != policy.openpgp or held != {name: policy.threshold_of(name) for name in held}:
        said = (
            f"[policy] differs from what clients hold (threshold {held['motd']}, of root "
            f"{held['root']}, openpgp {keys.policy}); it takes effect with: mars-motd key rotate"
        )
        found.append(Problem(where, 1, said, warning=True))
    return found


def _size_problems(place: Folder, content: Content) -> list[Problem]:
    """Whether the document will be small enough and readable to clients."""
    try:
        epoch, moment = ep.number(place), options.clock_or(None)
        said = steering.wanted(place, epoch)
        envelope = NEWS.unsigned(document.compose(place.product, content, said, moment)).envelope
        NEWS.read(envelope.payload)
        beside = [STEERING.unsigned(said).envelope, *_declared(place)]
        size = sum(len(envelopes.encode(it)) + _SIGNATURE_ROOM for it in (envelope, *beside))
    except (WireError, ConfigError) as error:
        return [Problem(shown(place.root), 1, error.message)]
    if size > MAX_ENVELOPE:
        what = f"the document will have about {size} bytes with signatures and all that rides along"
        return [Problem(shown(place.root), 1, f"{what}; clients take {MAX_ENVELOPE}")]
    return []


def _declared(place: Folder) -> list[Envelope]:
    release = place.downloads().release
    return [] if release is None else [RELEASE.unsigned(release).envelope]


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
    without --as: all that F says and all that rides along, also what nobody would be shown; F may
    be a document of another kind.
    """
    place = Folder.at(folder)
    product, moment = place.product, options.clock_or(now)
    if file is not None and reader is None:
        envelope = options.read_as(envelopes.decode, file, "The document")
        _tell_all(envelope, product, moment, as_json)
        return
    if file is not None:
        news = options.read_document(NEWS, file)
        motd, links = news.said, views.links(news.envelope) or ()
    else:
        motd, links = document.draft(place, ep.number(place), moment), product.links
    if reader is not None:
        one = views.view(motd, _reader(reader, motd), moment, links)
        options.tell(as_json, asdict(one), _view_lines(one, motd))
    else:
        table = views.table(motd, product, moment, links)
        lines = [*views.table_lines(table), *_beside(place, moment)]
        options.tell(as_json, [asdict(item) for item in table], lines)


def _beside(place: Folder, moment: int) -> Iterator[str]:
    """What would ride along, if it were signed now."""
    said = steering.wanted(place, ep.number(place))
    yield from ("", *views.payload_lines(_dated(STEERING, said, moment)))
    if (release := place.downloads().require()) is not None:
        yield from ("", *views.payload_lines(_dated(RELEASE, release, moment)))


def _dated(kind: Kind[D], said: D, moment: int) -> Envelope:
    return kind.unsigned(replace(said, serial=moment, issued=moment)).envelope


def _tell_all(envelope: Envelope, product: Product, moment: int, as_json: bool) -> None:
    """Everything that a holder would put a signature under."""
    payload, said, table = views.payload(envelope), list[str](), list[View]()
    if kinds.of(envelope) is NEWS:
        motd = NEWS.read(envelope.payload)
        links = views.links(envelope)
        table = views.table(motd, product, moment, product.links if links is None else links)
        said = document.strange_settings(motd, product)
    plain = {
        "payload_type": envelope.payload_type,
        "payload": payload,
        "unknown": views.unknown(envelope),
        "riders": {name: views.payload(it) for name, it in views.riders(envelope).items()},
        "warnings": said,
        "table": [asdict(item) for item in table],
    }
    rows = ["", *views.table_lines(table)] if table else []
    for name, rider in views.riders(envelope).items():
        rows += ["", f"{name}:", *views.payload_lines(rider)]
    options.tell(as_json, plain, [*views.payload_lines(envelope), *rows])
    for warning in () if as_json else said:
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


def _view_lines(view: View, motd: Motd) -> Iterator[str]:
    reader = view.reader
    yield safe(f"version {reader.version} on {reader.platform}, language {reader.language}")
    newest = f" (newest: {motd.newest_version})" if is_release(motd.newest_version) else ""
    if motd.newest_version and not newest:
        newest = " (newest_version is no release, so clients ignore it)"
    yield f"status: {view.status}{newest}"
    if motd.news:
        yield f"\n{safe(motd.news)}"
    for item in view.shown:
        yield f"\n[{item.kind}, {item.severity}] {item.title}  ({item.id}, {item.language})"
        yield from filter(None, (item.text, item.url))
        if item.id in view.left_out:
            yield f"(without its link, which links does not allow: {safe(view.left_out[item.id])})"
    if not view.shown:
        yield "\nno messages"
