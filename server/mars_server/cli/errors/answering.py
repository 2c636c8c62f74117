"""``mars-server errors resolve``, ``note``, ``delete`` and ``rules check``."""

from __future__ import annotations

from pathlib import Path

import click

from mars.commandline import json_option
from mars_server.cli import options
from mars_server.cli.errors import common
from mars_server.cli.settings import TRIAGE, Configured
from mars_server.triage import setup
from mars_server.triage.desk import Desk, Resolution


@click.command(cls=Configured, settings=TRIAGE)
@common.name
@common.db
@common.of_product
@click.option("--release", default="", metavar="X.Y", help="It is fixed in this release.")
@click.option("--summary", default="", metavar="TEXT", help="What it is, in a sentence.")
@click.option("--how", default="", metavar="TEXT", help="How it happens.")
@click.option("--fix", default="", metavar="TEXT", help="What the user should do.")
@click.option("--reopen", is_flag=True, help="Take it back.")
@json_option()
def resolve(
    name: str,
    url: str,
    product_file: Path | None,
    release: str,
    summary: str,
    how: str,
    fix: str,
    reopen: bool,
    as_json: bool,
) -> None:
    """Say that a group is resolved; what is said goes to those who sent a report of it.

    With --release it is open again where a report of that release or a later one comes, by version,
    never by date. Without, it is resolved for all. It comes before what a rule says.
    """
    said = Resolution(release, summary, how, fix)
    if reopen and any(said):
        raise click.UsageError("--reopen takes nothing beside it.")
    with common.locked(url, product_file) as engine:
        desk = Desk(engine)
        if reopen:
            desk.reopen(name, common.today())
        else:
            desk.resolve(name, common.today(), said)
    state = "open" if reopen else "resolved"
    options.answer(as_json, {"ok": True, "state": state}, f"{name} is {state}")


@click.command(cls=Configured, settings=TRIAGE)
@common.name
@click.argument("text")
@common.db
@common.of_product
@click.option("--private", is_flag=True, help="For the operator alone.")
@json_option()
def note(
    name: str, text: str, url: str, product_file: Path | None, private: bool, as_json: bool
) -> None:
    """Tell those who sent a report of a group TEXT, in the place of what was told before.

    An empty TEXT takes it back.
    """
    with common.locked(url, product_file) as engine:
        Desk(engine).note(name, common.today(), text, private=private)
    whom = "the operator alone" if private else "all who sent a report of it"
    did = "noted" if text else "taken back"
    options.answer(as_json, {"ok": True, "private": private}, f"{name}: {did} for {whom}")


@click.command(cls=Configured, settings=TRIAGE)
@common.name
@common.db
@common.of_product
@json_option()
def delete(name: str, url: str, product_file: Path | None, as_json: bool) -> None:
    """Delete a report by its GUID, or all direct reports of a group by its number.

    They do not come back from a spool that is read again, and those who sent them are told that
    they are gone. What users ask for is deleted by itself.
    """
    with common.locked(url, product_file) as engine:
        n = Desk(engine).delete(name, common.today())
    options.answer(as_json, {"ok": True, "deleted": n}, f"{options.number(n, 'report')} deleted")


@click.group()
def rules() -> None:
    """The rules, which answer whole classes of faults."""


@rules.command(cls=Configured, settings=TRIAGE)
@click.option("--db", "url", metavar="URL", help="Try the rules on the reports that are there.")
@common.product
@common.rules
@json_option()
def check(url: str | None, product_file: Path, rules_file: Path | None, as_json: bool) -> int:
    """Check rules.toml, and with --db that no two rules claim one fault.

    Says how many reports each rule claims. Exit 1 for a conflict: of two rules neither answers, and
    no status document is made.
    """
    if url is None:
        held = setup.load_rules(product_file, rules_file)
        told = {"ok": True, "rules": {str(claim.number): None for claim in held.claims}}
        options.answer(as_json, told, f"{options.number(len(held.claims), 'rule')}, well formed")
        return 0
    with common.desk(url, product_file, rules_file) as desk:
        overview = desk.overview()
    claimed, conflicts = overview.claimed(), overview.conflicts()
    found = [
        {"digest": fault.digest, **fault.members, "rules": list(numbers)}
        for fault, numbers in conflicts
    ]
    told = {"ok": not found, "rules": {str(n): claimed[n] for n in sorted(claimed)}}
    reason = {"reason": "rules-conflict", "message": "Two rules claim one fault."} if found else {}
    lines = [f"rule {n}: {options.number(claimed[n], 'report')}" for n in sorted(claimed)]
    for fault, numbers in conflicts:
        both = " and ".join(map(str, numbers))
        lines.append(f"CONFLICT of rules {both}: {' '.join((*fault.types, *fault.names))}")
    options.answer(as_json, {**told, **reason, "conflicts": found}, *lines)
    return int(bool(found))
