"""Writes the parts of the docs that are made from code; ``--check`` only compares.

Run ``python tests/mars/docs/generate.py`` after changing a variable, a help text or the request.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from mars.cli import cli
from mars.metrics import DECLARED
from mars.wire.request import request_bytes

DOCS = Path(__file__).parents[3] / "docs"
BEGIN = "<!-- client: made by tests/mars/docs/generate.py, do not edit -->"
END = "<!-- client: end -->"
ONION = "<56 characters>.onion"


def privacy() -> str:
    """The client's part of docs/privacy.md."""
    plain = request_bytes("onion", "").decode("ascii").replace("onion", ONION, 1)
    tracked = plain.replace(" HTTP", "?v=0.5.2&os=linux&ia=100 HTTP", 1)
    lines = [
        BEGIN,
        "",
        "### The whole request at level `plain`",
        "",
        *_block(plain),
        "### At level `tracked` one line differs",
        "",
        *_block(tracked.splitlines()[0]),
        "### Every variable that can ever be sent",
        "",
        "| variable | what it says | values | why | consent |",
        "|---|---|---|---|---|",
    ]
    for variable in DECLARED:
        consent = (
            "asked for on its own; at most one of these rides in a request, drawn at random"
            if variable.optional
            else "with `tracked`; can be switched off alone"
        )
        lines.append(
            f"| `{variable.name}` {variable.label} | {variable.description} | {variable.values} "
            f"| {variable.reason} | {consent} |"
        )
    return "\n".join([*lines, "", END])


def commands() -> str:
    """docs/cli.md: the help of every client command, as the program prints it."""
    parts = [
        "# The `mars` command",
        "",
        "Made from the program by `python tests/mars/docs/generate.py`; a test compares.",
        "Every command prints results on stdout and everything else on stderr, and ends with",
        "0 (done), 1 (refused or failed, with a reason) or 2 (wrong usage).",
        "",
    ]
    for name, command in _walk(cli, "mars"):
        context = click.Context(command, info_name=name, max_content_width=96, terminal_width=96)
        parts += [f"## `{name}`", "", *_block(command.get_help(context))]
    return "\n".join(parts)


def _walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for part in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), part)
            if found is not None:
                yield from _walk(found, f"{name} {part}")


def _block(text: str) -> list[str]:
    return ["```", text.replace("\r\n", "\n").rstrip(), "```", ""]


def pages() -> dict[Path, str]:
    """Each page as it must be."""
    page = DOCS / "privacy.md"
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    return {page: before + privacy() + after, DOCS / "cli.md": commands()}


def main(arguments: list[str]) -> int:
    stale = [page for page, text in pages().items() if not _same(page, text)]
    for page in stale:
        if "--check" in arguments:
            print(f"{page.name} is not what the code says; run {Path(__file__).name}")
        else:
            page.write_text(pages()[page], "utf-8")
            print(f"wrote {page.name}")
    return 1 if stale and "--check" in arguments else 0


def _same(page: Path, text: str) -> bool:
    return page.exists() and page.read_text("utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
