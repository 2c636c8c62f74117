"""``mars-motd registry`` and ``generate``: what clients may send, as the document that they read
and as a module for the application."""

from __future__ import annotations

from pathlib import Path

import click

from mars.commandline import json_option, safe, shown
from mars.errors import StateError
from mars.wire.catalogue import Catalogue, digest
from mars.wire.times import day_of
from mars_motd import files, generated, markdown
from mars_motd import registry as reg
from mars_motd.cli import options
from mars_motd.folder import Folder


@click.command()
@options.folder_argument
@options.out_option
@options.now_option("Judge dates at this time. Default: now.")
@json_option("Print one JSON object.")
def registry(folder: Path, out: Path, now: int | None, as_json: bool) -> None:
    """Write the registry document F, and keep it as DIR/registry.json.

    It holds the declared statistics of metrics.toml, the error events of errors.toml, the releases
    that reports name and the keys of error reports; says what changes against the last one. It
    counts only once root has signed its hash (mars-motd steering, or sign while root is at hand),
    and it must lie beside the news (mars-motd deploy puts it there). An application ships it beside
    trust.json.
    """
    place = Folder.at(folder)
    kept = place.root / "registry.json"
    if files.writable(out) != files.writable(kept):
        place.require_output(out, Catalogue.decode)
    draft = reg.read(place, day_of(options.clock_or(now)))
    for problem in draft.problems:
        click.echo(safe(str(problem)), err=True)
    new, old = draft.require(), reg.last(place)
    data, changed = new.encode(), list(reg.changes(old, new))
    is_new = data != reg.document(place)
    for name in reg.forgotten(old, new):
        click.echo(
            f"warning: {name} is gone: put it back with a date withdrawn, so that people can read "
            f"what was collected",
            err=True,
        )
    for name in reg.asked_anew(old, new):
        click.echo(
            f"warning: {name} asks for more or for something else than the users who agreed to it "
            f"were told, so it is off until they are asked again: better withdraw it, and "
            f"declare it under another name",
            err=True,
        )
    for name in reg.counted_anew(old, new):
        click.echo(
            f"warning: in {name} something else counts as failed or late from now on (grace, late, "
            f"expected), while its figures go on as if nothing had changed: better withdraw its "
            f"causes, and declare it under another name",
            err=True,
        )
    files.replace(kept, data)
    if files.writable(out) != files.writable(kept):
        files.replace(out, data)
    plain = {
        "ok": True,
        "sha256": digest(data),
        "bytes": len(data),
        "statistics": len(new.metrics),
        "events": len(new.domains),
        "releases": list(new.releases),
        "reports": list(new.reports),
        "changed": changed,
    }
    said = f"{reg.many(new)}, {len(data)} bytes, SHA-256 {digest(data)}"
    with options.telling():
        lines = [*map(safe, changed), f"{shown(out)}: {said}"]
        options.tell(as_json, plain, lines if is_new else [*lines, "nothing has changed"])
        if is_new:
            click.echo(
                f"Root signs its hash: mars-motd steering {shown(place.root)}, or mars-motd sign "
                f"while root/ is here",
                err=True,
            )


@click.command()
@options.folder_argument
@options.out_option
@click.option(
    "--catalogue",
    "page",
    type=click.Path(path_type=Path),
    metavar="P",
    help="Write the public catalogue in Markdown, too.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where one is not current.")
@options.now_option("Judge dates at this time. Default: now.")
def generate(folder: Path, out: Path, page: Path | None, check: bool, now: int | None) -> None:
    """Write a typed Python module F of what DIR declares.

    It has a function for each statistic, which hands a value to the client, and an enum for each
    domain of error events, so that a type checker finds what was never declared and a cause that a
    mapping forgot. Put it into the application, and --check into its tests.
    """
    place = Folder.at(folder)
    place.require_output(out, generated.require_ours)
    if page is not None:
        place.require_output(page, markdown.require_ours)
    declared = reg.read(place, day_of(options.clock_or(now))).require()
    made = {out: generated.module(declared)}
    if page is not None:
        made[page] = markdown.catalogue(declared)
    if check:
        stale = [path for path, data in made.items() if not _is_current(path, data)]
        if stale:
            more = "" if page is None else f" --catalogue {shown(page)}"
            raise StateError(
                "generated-stale",
                f"{shown(stale[0])} is not what {shown(folder)} declares: run mars-motd generate "
                f"{shown(folder)} --out {shown(out)}{more}",
            )
        return
    for path, data in made.items():
        files.replace(path, data)
    with options.telling():
        click.echo("\n".join(map(shown, made)))


def _is_current(path: Path, data: bytes) -> bool:
    return files.exists(path) and files.read(path) == data
