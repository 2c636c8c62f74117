"""``mars-server errors list`` and ``show``. Texts of reports are escaped, whatever they hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mars.commandline import json_option, safe
from mars_server.cli import options
from mars_server.cli.errors import common
from mars_server.cli.settings import TRIAGE, Configured
from mars_server.storage.triage.groups import Member, Report
from mars_server.triage.desk import STATES, Details, Entry


@click.command("list", cls=Configured, settings=TRIAGE)
@common.db
@common.product
@common.rules
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Of these alone.")
@click.option("--release", default="", metavar="X.Y", help="Met in this release.")
@click.option("--search", "text", default="", metavar="TEXT", help="With TEXT in the title.")
@json_option()
def list_groups(
    url: str,
    product_file: Path,
    rules_file: Path | None,
    states: tuple[str, ...],
    release: str,
    text: str,
    as_json: bool,
) -> None:
    """The groups of faults, those first that most have met. Numbers are exact: not for publication.

    reopened: resolved, and met again in a release in which it should be fixed. known: a rule
    answers.
    """
    with common.desk(url, product_file, rules_file) as desk:
        overview, unread = desk.overview(), desk.unread()
    entries = overview.entries(states, release, text)
    if overview.conflicts():
        options.say("Two rules claim one fault, and neither answers: errors rules check.")
    groups = [_entry(each) for each in entries]
    told = {"ok": True, "groups": groups, "unread": unread._asdict()}
    waiting = f"{options.number(unread.shares, 'crowd report')} cannot be read: too few met a fault"
    options.answer(as_json, told, *map(_line, entries), *([waiting] if unread.shares else []))


def _entry(each: Entry) -> dict[str, Any]:
    return {
        "group": each.number,
        "title": each.title,
        "state": each.state,
        "direct": each.direct,
        "crowd": each.crowd,
        "releases": list(each.releases),
        "rules": list(each.rules),
        "release": each.word.release,
        "summary": each.word.summary,
        "how": each.word.how,
        "fix": each.word.fix,
        "memo": each.memo,
    }


def _line(each: Entry) -> str:
    met = f"{each.direct} direct, {each.crowd} crowd"
    return f"{each.number:>5}  {each.state:8}  {met:22}  {' '.join(each.releases):14}  {each.title}"


@click.command(cls=Configured, settings=TRIAGE)
@common.name
@common.db
@common.product
@common.rules
@json_option()
def show(name: str, url: str, product_file: Path, rules_file: Path | None, as_json: bool) -> None:
    """One group, by its number or by the GUID of one of its reports, with all that can be read."""
    with common.desk(url, product_file, rules_file) as desk:
        found = desk.show(name)
    told = {
        "ok": True,
        **_entry(found.entry),
        "faults": [_member(each) for each in found.members],
        "reports": [_report(each) for each in found.reports],
    }
    options.answer(as_json, told, *_page(found))


def _member(each: Member) -> dict[str, Any]:
    return {
        "release": each.release,
        "direct": each.direct,
        "crowd": each.crowd,
        "digest": each.fault.digest,
        **each.fault.members,
    }


def _report(each: Report) -> dict[str, Any]:
    told = {key: getattr(each, key) for key in ("guid", "release", "platform", "received")}
    return {**told, "message": each.message, **each.fault.members}


def _page(found: Details) -> Iterator[str]:
    entry = found.entry
    yield _line(entry)
    texts = {name: getattr(entry.word, name) for name in ("release", "summary", "how", "fix")}
    for name, text in {**texts, "memo": entry.memo}.items():
        yield from _text(name, text)
    for number in entry.rules:
        yield f"rule: {number}"
    for member in found.members:
        yield ""
        yield f"{member.release}: {member.direct} direct, {member.crowd} crowd"
        yield f"    #{member.fault.digest}"
        yield from (f"    {each}" for each in (*member.fault.types, *member.fault.frames))
    for report in found.reports:
        yield ""
        yield f"{report.guid}  {report.release}  {report.platform}  {report.received}"
        yield from _text("message", report.message)


def _text(name: str, text: str) -> Iterator[str]:
    """Each line of it on a line of ours."""
    if text:
        first, *others = safe(text).splitlines() or [""]
        yield f"{name}: {first}"
        yield from (f"    {line}" for line in others)
