"""``mars-motd new``: a new message, from options or in an editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click

from mars.console import safe, shown
from mars.errors import ConfigError, StateError
from mars.wire.motd import KINDS, SEVERITIES
from mars_motd import files, template
from mars_motd.cli.options import folder_argument, telling
from mars_motd.folder import Folder
from mars_motd.messages import parse_message


@click.command()
@folder_argument
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
def new(
    folder: Path,
    name: str,
    title: str,
    text: str,
    language: str,
    kind: str,
    severity: str,
    url: str,
    versions: str,
    platforms: tuple[str, ...],
    languages: tuple[str, ...],
) -> None:
    """Write messages/ID.toml, from the options or in $VISUAL or $EDITOR.

    Add translations to the file later; "mars-motd check" says what is missing.
    """
    place = Folder.at(folder)
    if not name.isascii() or not name.replace("-", "").replace(".", "").replace("_", "").isalnum():
        raise click.UsageError("ID takes A-Z, a-z, 0-9, dot, hyphen and underscore.")
    target = place.root / "messages" / f"{name}.toml"
    if target.exists():
        raise ConfigError("message-exists", f"{shown(target)} exists already; edit it.")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not title and not editor:
        raise click.UsageError("Give --title, or set $EDITOR to write the message in an editor.")
    data = template.message_toml(
        title or "…", text, kind, severity, url, versions, platforms, languages, language
    ).encode()
    if title:
        _require_good(place, data, target)
        files.replace(target, data)
    else:
        files.replace(target, data)
        _edit(editor or "", target)
        if files.read(target) == data:
            target.unlink()
            raise StateError(
                "unchanged", f"Nothing was written; {shown(target)} was removed again."
            )
        _require_good(place, files.read(target), target)
    with telling():
        click.echo(shown(target))


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
