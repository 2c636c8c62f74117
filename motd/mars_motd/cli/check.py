"""``mars-motd check``: everything that can be wrong before anything is signed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mars.console import emit_json, json_option, safe, shown
from mars.errors import ConfigError, WireError
from mars.wire import envelope as envelopes
from mars.wire import motd as motds
from mars.wire.envelope import MAX_ENVELOPE
from mars_motd import document, files
from mars_motd import epochs as ep
from mars_motd.cli.options import clock_or, folder_argument
from mars_motd.folder import Content, Folder
from mars_motd.status import NO_SERVER
from mars_motd.toml_files import Problem, line_of, registry_problems

_SIGNATURE_ROOM = 2048
"""Bytes set aside for the signatures of a document that is not signed yet."""


@click.command()
@folder_argument
@json_option("Print JSON.")
def check(folder: Path, as_json: bool) -> None:
    """Check product.toml, the messages and the registry of DIR; exit code 1 on any error.

    Each problem names file and line. Warnings do not keep a document from being signed.
    """
    place = Folder.at(folder)
    content = place.content()
    problems = [*content.problems, *_policy(place), *_size(place, content)]
    problems += registry_problems(place.root)
    errors = [problem for problem in problems if not problem.warning]
    if as_json:
        emit_json(
            {
                "ok": not errors,
                "messages": len(content.messages),
                "problems": [vars(problem) for problem in problems],
            }
        )
    else:
        for problem in problems:
            click.echo(safe(str(problem)))
        said = f"{len(errors)} errors" if errors else "nothing to repair"
        click.echo(f"{shown(place.root)}: {len(content.messages)} messages, {said}", err=True)
    sys.exit(1 if errors else 0)


def _policy(place: Folder) -> list[Problem]:
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
    if (keys.threshold, keys.policy) != (product.policy.threshold, product.policy.openpgp):
        said = (
            f"[policy] differs from what clients hold (threshold {keys.threshold}, openpgp "
            f"{keys.policy}); it takes effect with: mars-motd key rotate"
        )
        found.append(Problem(where, 1, said, warning=True))
    return found


def _size(place: Folder, content: Content) -> list[Problem]:
    """Whether the document will be small enough and readable to clients."""
    try:
        motd = document.compose(place.product, content, ep.number(place), clock_or(None))
        motds.decode(motds.encode(motd))
        chain = ep.load(place).chain if ep.is_pinned(place) else ()
        size = len(envelopes.encode(envelopes.Envelope("", motds.encode(motd), (), chain)))
    except WireError as error:
        return [Problem(shown(place.root), 1, error.message)]
    if size + _SIGNATURE_ROOM > MAX_ENVELOPE:
        said = f"the document will have {size} bytes and signatures; clients take {MAX_ENVELOPE}"
        return [Problem(shown(place.root), 1, said)]
    return []
