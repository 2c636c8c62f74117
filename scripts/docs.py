"""Writes the generated pages of docs/ and checks the links of every page.

``python -m scripts.docs`` writes; with ``--check`` nothing is written and a page that is out of
date is a fault. Exit code 1 where there is a fault.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import click

from scripts import remove_protections

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 96
"""Columns of the help texts."""
COMMANDS = {
    "mars": ("mars.cli", "For users, and for applications in other languages than Python."),
    "mars-motd": ("mars_motd.cli", "For the publisher; works offline."),
    "mars-server": ("mars_server.cli", "For the operator."),
}
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def commands_page() -> str:
    """docs/commands.md: the help of every command."""
    parts = [
        "# Commands",
        (
            "Written by `make docs` from the programs themselves. Exit codes: 0 done, 1 refused or "
            "failed with a reason, 2 wrong usage. Results go to stdout, everything else to stderr."
        ),
    ]
    for name, (module, purpose) in COMMANDS.items():
        parts += [f"## {name}", purpose]
        parts += _help(import_module(module).cli, name, None)
    return "\n\n".join(parts) + "\n"


def _help(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )
    if parent is not None:
        yield f"### {context.command_path}"
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield f"```\n{text}\n```"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                yield from _help(found, child, context)


LOCKS = ("client", "motd", "server")
"""The locks of requirements/ that somebody installs who does not work on this repository."""
ELSEWHERE = {"tzdata": "Apache-2.0"}
"""Licences of what is installed on other systems alone, read from its metadata by hand."""
_PIN = re.compile(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", re.MULTILINE)
_CLASSIFIER = "License :: OSI Approved :: "


def licences_page() -> str:
    """docs/licences.md: what each distribution brings along, and under which licence."""
    pins = {lock: dict(_PIN.findall(_lock(lock))) for lock in LOCKS}
    every = {name: version for lock in LOCKS for name, version in pins[lock].items()}
    rows = [
        f"| {name} | {every[name]} | {_licence(name)} | "
        + " | ".join("x" if name in pins[lock] else "" for lock in LOCKS)
        + " |"
        for name in sorted(every)
    ]
    return "\n".join(
        [
            "# Licences",
            "",
            (
                "MARS itself is under the Apache License 2.0. Written by `make docs` from "
                "`requirements/` and the metadata of each package: what the three distributions "
                "install. tor and GnuPG are programs of their own, part of none."
            ),
            "",
            "| package | version | licence | mars-client | mars-motd | mars-server |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _lock(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")


def _licence(name: str) -> str:
    """As the package's metadata says: its SPDX expression, else its text's first line."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return ELSEWHERE[name]
    classified = [c for c in told.get_all("Classifier", []) if c.startswith(_CLASSIFIER)]
    text = told["License-Expression"] or ", ".join(c.removeprefix(_CLASSIFIER) for c in classified)
    return str(text or told["License"]).splitlines()[0].replace("|", "/")


BEGIN, END = "<!-- map: made by make docs, do not edit -->", "<!-- map: end -->"


def architecture_page() -> str:
    """docs/architecture.md with the map of folders as they lie on the disk."""
    before, _, rest = (ROOT / "docs/architecture.md").read_text("utf-8").partition(BEGIN)
    rows = [
        f"| `{folder}/` | {said} | {', '.join(f'`{name}`' for name in modules)} |"
        for folder, said, modules in _folders()
    ]
    table = ["| folder | what it is | its modules |", "|---|---|---|", *rows]
    return before + "\n".join([BEGIN, "", *table, "", ""]) + END + rest.partition(END)[2]


def _folders() -> Iterator[tuple[str, str, list[str]]]:
    for package in ("mars", "server/mars_server", "motd/mars_motd"):
        for init in sorted((ROOT / package).rglob("__init__.py")):
            said = (ast.get_docstring(ast.parse(init.read_bytes())) or "").partition("\n")[0]
            names = sorted(file.stem for file in init.parent.glob("*.py") if file != init)
            yield init.parent.relative_to(ROOT).as_posix(), said.replace("``", "`"), names


GROUPS = {
    "A": ("The envelope and Ed25519", "the-envelope-and-ed25519-a"),
    "B": ("The payload", "the-payload-b"),
    "C": ("Time", "time-c"),
    "D": ("OpenPGP", "openpgp-d"),
    "E": ("The fetch, the schedule and the state", "the-fetch-e1e16"),
    "F": ("Consent and metrics", "consent-and-metrics-f"),
    "G": ("Serving and the access log", "serving-and-the-access-log-g"),
    "H": ("Counting and publication", "counting-and-publication-h-k"),
    "I": ("Declared statistics", "declared-statistics-i"),
    "J": ("Error reports", "error-reports-j"),
    "K": ("The pages", "publication-and-the-pages-h2h18-k"),
    "L": ("The onion service and operations", "the-onion-service-and-operations-l"),
}
"""Titles of the groups of rows, and their headings in docs/threat-model.md."""


def attacks_page() -> str:
    """docs/attacks.md: each row of the threat model with the tests that try it, as they say."""
    parts = [
        "# Attacks",
        (
            "Written by `make docs` from the names of the tests: what they try, and what must come "
            "of it. A row keeps its number for good; `make test ARGS='-k _a07_'` runs the tests of "
            "A7."
        ),
    ]
    found = {row: _attempts(tests) for row, tests in remove_protections.attempts().items()}
    untried = remove_protections.load().none
    every = {**{row: f"no test: {why}" for row, why in untried.items()}, **found}
    for group, (title, heading) in GROUPS.items():
        rows = sorted((row for row in every if row[0] == group), key=lambda row: int(row[1:]))
        table = ["| row | tests |", "|---|---|", *(f"| {row} | {every[row]} |" for row in rows)]
        parts += [f"## {group}. [{title}](threat-model.md#{heading})", "\n".join(table)]
    return "\n\n".join(parts) + "\n"


def _attempts(tests: list[tuple[str, str]]) -> str:
    """Words of the tests of one row, file by file."""
    by_file: dict[str, list[str]] = {}
    for file, words in tests:
        by_file.setdefault(file, []).append(words)
    return "<br>".join(
        f"{'; '.join(words)} ([{Path(file).stem}](../{file}))" for file, words in by_file.items()
    )


GENERATED = {
    "docs/architecture.md": architecture_page,
    "docs/attacks.md": attacks_page,
    "docs/commands.md": commands_page,
    "docs/licences.md": licences_page,
}


def tracked(pattern: str) -> list[Path]:
    """Files of the repository that match, in order."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--", pattern], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    return [ROOT / name for name in sorted(names.split("\0")) if name and (ROOT / name).exists()]


def broken_links(page: Path) -> Iterator[str]:
    """Links of a page to files or headings that are not there; links to the web are not tried."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"{page.relative_to(ROOT)}: no such file: {link}"
        elif anchor and anchor not in anchors(target):
            yield f"{page.relative_to(ROOT)}: no such heading: {link}"


def anchors(page: Path) -> set[str]:
    """The fragment names of a page's headings, as repository hosts make them."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    return {_slug(heading) for heading in _HEADING.findall(text)}


def _slug(heading: str) -> str:
    kept = (
        c
        for c in heading.lower()
        if c in " -_" or unicodedata.category(c)[0] in "LN"  # letters and numbers
    )
    return "".join(kept).replace(" ", "-")


def main(words: list[str]) -> int:
    faults = []
    for name, make in GENERATED.items():
        page, text = ROOT / name, make()
        if "--check" not in words:
            page.write_text(text, "utf-8")
            print(f"written: {name}")
        elif not page.exists() or page.read_text("utf-8") != text:
            faults.append(f"{name} is out of date; run make docs")
    pages = tracked("*.md")
    for page in pages:
        faults += broken_links(page)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(pages)} pages, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
