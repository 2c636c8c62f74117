"""``mars-server publish``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mars.commandline import json_option
from mars.errors import ConfigError, TrustError, naming
from mars.factory import system_clock
from mars_server.cli import options
from mars_server.cli.settings import COUNTS, Configured
from mars_server.common.config import load_catalogue, load_product, read

if TYPE_CHECKING:
    from mars.wire.product import Product
    from mars_server.publication.status_document import Answers
    from mars_server.site.publish import PublishReport
    from mars_server.tables.faults import Faults

_MOST_NAMES: Final = 10
"""Files of others that are named; more are counted."""
_ANSWERS: Final = "The answers to reports", "status"


_file = partial(click.option, type=options.HERE, metavar="FILE")
_folder = partial(click.option, type=click.Path(file_okay=False, path_type=Path), metavar="DIR")


_SETTINGS = {
    **COUNTS,
    "out": "site",
    "motd_file": "document",
    "status_file": "answers",
    "trust_file": "answers_trust",
    "faults_file": "faults",
    "chart_cache": "chart_cache",
    **{
        name: f"publish.{name}"
        for name in ("sign_key", "noise_key", "noise_epsilon", "notes", "operator")
    },
}


@click.command(
    cls=Configured,
    settings=_SETTINGS,
    instead=dict.fromkeys(("noise_key", "noise_epsilon"), "without_noise"),
)
@options.db
@_folder("--out", required=True, help="Folder for the site; figures go to DIR/data.")
@options.product
@options.now_option("Publish as of this time (2026-11-21T00:00:00Z) instead of now.")
@_file(
    "--sign-key", help="Ed25519 private key (PEM) of the operator, with which the index is signed."
)
@_file("--noise-key", help="At least 32 secret bytes; turns noise on.")
@click.option(
    "--noise-epsilon",
    type=click.FloatRange(0.01, 100),
    show_default="that of the last published week, else 1",
    help="Privacy budget of one installation in one week, apart from checks its user asks for.",
)
@click.option(
    "--without-noise",
    is_flag=True,
    help="Go on without noise though the last published week has it; else that is refused.",
)
@_file(
    "--motd",
    "motd_file",
    help="The signed document that is served; its hash is published, for people to compare.",
)
@_file(
    "--status",
    "status_file",
    help="The signed answers to error reports that are served; they get a page. Give it each time.",
)
@_file("--trust", "trust_file", help="What clients pin, by which --status is judged as by them.")
@_file(
    "--faults",
    "faults_file",
    help="Weekly figures of faults (errors stats --out); each week is published once.",
)
@_file("--notes", help="TOML with [[note]] tables for the events page.")
@click.option(
    "--operator",
    metavar="TEXT",
    default="",
    help="Who runs this and how to reach them, for the foot of each page.",
)
@_folder(
    "--chart-cache",
    help="Keep drawn charts here (outside the site), so that the next run draws only new ones.",
)
@click.option(
    "--adopt",
    is_flag=True,
    help="Take over what DIR holds and the database lost. Count all logs first.",
)
@json_option()
def publish(
    url: str,
    out: Path,
    product_file: Path,
    now: int | None,
    sign_key: Path | None,
    noise_key: Path | None,
    noise_epsilon: float | None,
    without_noise: bool,
    motd_file: Path | None,
    status_file: Path | None,
    trust_file: Path | None,
    faults_file: Path | None,
    notes: Path | None,
    operator: str,
    chart_cache: Path | None,
    adopt: bool,
    as_json: bool,
) -> None:
    """Publish the weeks that are complete: floored figures and a site that shows them.

    A week is published once, two days after its end at the earliest, and its files never change.
    Run it as often as you like. Where the figures speak for another crowd it says so, and leaves it
    to you.
    """
    from mars_server.publication.index import read_private_key
    from mars_server.serving.motd_source import newest_release
    from mars_server.site.pages.events import parse_notes
    from mars_server.site.publish import publish as run_publish
    from mars_server.site.publish import standing_noise
    from mars_server.storage import open_database
    from mars_server.storage.ledger import note_run
    from mars_server.tables.compose import FloorRules
    from mars_server.tables.crowd import level_of, proposed
    from mars_server.tables.noise import KEY_SIZE, Noise

    if noise_epsilon and not noise_key:
        raise click.UsageError("--noise-epsilon needs --noise-key.")
    if noise_key and without_noise:
        raise click.UsageError("Give --noise-key or --without-noise, not both.")
    if trust_file and not status_file:
        raise click.UsageError("--trust needs --status.")
    product = load_product(product_file)
    moment = system_clock().now() if now is None else now
    answers = _answers(status_file, trust_file, product, moment) if status_file else None
    faults = _faults(faults_file) if faults_file else None
    document = None if motd_file is None else read(motd_file, "The MOTD")
    if document is not None:
        with naming(motd_file):
            product = product.also(newest_release(document))
    catalogue = load_catalogue(product_file)
    engine = open_database(url, create=False)
    noise = None
    if noise_key:
        secret = _secret(noise_key, KEY_SIZE)
        noise = Noise(secret, noise_epsilon or standing_noise(engine, out, adopt=adopt) or 1.0)
    seed = read_private_key(_secret(sign_key, 1)) if sign_key else None
    outcome = run_publish(
        engine,
        out,
        FloorRules(product, noise),
        moment,
        signing_key=seed,
        without_noise=without_noise,
        chosen=now is not None,
        adopt=adopt,
        notes=parse_notes(read(notes, "The notes"), str(notes)) if notes else (),
        chart_cache=chart_cache,
        motd=document,
        catalogue=catalogue,
        answers=answers,
        faults=faults,
        operator=_operator(operator),
    )
    note_run(engine, "publish", system_clock().now())
    published = [week.week for week in outcome.weeks]
    crowd = proposed(outcome.weeks, product.crowd)
    told = {
        "published_weeks": published,
        "new_weeks": outcome.new,
        "files_written": outcome.written,
        "signed": seed is not None,
        "waiting_weeks": list(outcome.waiting),
        "left_out_weeks": list(outcome.left_out),
        "weeks_with_missing_days": list(outcome.partial),
        "statistics_weeks": [week.week for week in outcome.reports],
        "new_statistics_weeks": outcome.new_reports,
        "statistics_weeks_with_missing_days": list(outcome.partial_reports),
        "waiting_statistics_weeks": list(outcome.waiting_reports),
        "locked_statistics_weeks": list(outcome.locked_reports),
        "waiting_lines": outcome.waiting_lines,
        "fault_weeks": [week.week for week in outcome.faults],
        "new_fault_weeks": outcome.new_faults,
        "differing_fault_weeks": list(outcome.other_faults),
        "crowd": product.crowd,
        "crowd_proposed": crowd,
    }
    options.answer(as_json, told, _summary(published, outcome.new), *_of_reports(outcome))
    for warning in _warnings(outcome, declared=bool(catalogue.entries)):
        options.say(warning)
    if level_of(crowd) != level_of(product.crowd):  # else requests would say the same
        options.say(_proposal(product.crowd, crowd))


def _summary(published: list[str], new: int) -> str:
    if not published:
        return "No week with hits is complete and two days old yet; the site says so."
    weeks = options.number(len(published), "week")
    return f"{weeks} published, {new} of them now; last {published[-1]}."


def _of_reports(outcome: PublishReport) -> list[str]:
    names = [week.week for week in outcome.reports]
    found = [f"Reports: {_summary(names, outcome.new_reports)}"] if names else []
    faults = [week.week for week in outcome.faults]
    return [*found, f"Faults: {_summary(faults, outcome.new_faults)}"] if faults else found


def _warnings(outcome: PublishReport, *, declared: bool) -> Iterator[str]:
    """What the operator did not ask for, or may not know."""
    if outcome.waiting:
        yield f"Waiting: {', '.join(outcome.waiting)}; no log was counted since the week ended."
    yield from _of_waiting(outcome, declared=declared)
    if outcome.left_out:
        names = ", ".join(outcome.left_out)
        yield f"Left out: {names}; too far back to be real, so a clock was wrong (counts weeks)."
    if outcome.partial:
        names = ", ".join(outcome.partial)
        yield (
            f"Days without a hit: {names}; the project was new, the server was away or a log is "
            "missing (counts weeks). The pages do not know; tell readers by --notes."
        )
    if outcome.partial_reports:
        names = ", ".join(outcome.partial_reports)
        yield (
            f"Days without a spool: {names}; the intake was new, its server was away, or spools "
            "were not carried over and counted in time, and then the figures are too low. The "
            "pages do not know; tell readers by --notes."
        )
    if outcome.other_faults:
        names = ", ".join(outcome.other_faults)
        yield (
            f"Published otherwise: faults of {names}. What is published stays, and what --faults "
            "says of these weeks now was left out; is it of another database?"
        )
    if outcome.answers_gone:
        yield "The pages have lost the answers to error reports; give --status again."
    if outcome.foreign:
        names = ", ".join(outcome.foreign[:_MOST_NAMES])
        more = len(outcome.foreign) - _MOST_NAMES
        rest = f" and {more} more" if more > 0 else ""
        yield (
            f"Not of this site: {names}{rest}. The index does not name them; if you did not put "
            "them there, somebody else can write to the folder."
        )
    if outcome.unsigned:
        yield "The index was signed and is no longer, which readers see; give --sign-key again."
    if outcome.notes_gone:
        gone = options.number(outcome.notes_gone, "note")
        yield f"The pages have lost {gone}; give --notes again."


def _of_waiting(outcome: PublishReport, *, declared: bool) -> Iterator[str]:
    names = ", ".join(outcome.waiting_reports)
    lines = options.number(outcome.waiting_lines, "line")
    if names and not declared:
        yield (
            f"Statistics wait: {names}; metrics.toml and errors.toml beside the product file are "
            "not there or declare nothing. Put the publisher's there."
        )
    elif outcome.locked_reports:
        yield (
            f"Statistics wait: {names}; {lines} of spools wait for keys "
            f"that were not given, and may be reports of {', '.join(outcome.locked_reports)}: "
            "count those spools with the key file that holds it (count --keys "
            "keys/intake-*.secret). If there is no such key any more, close the weeks by --now."
        )
    elif names:
        yield (
            f"Statistics wait: {names}; no spool was opened (count --keys) since the week ended. "
            f"{lines} of spools wait for keys that were not given."
        )


def _answers(path: Path, trust: Path | None, product: Product, now: int) -> Answers | None:
    """None of a document that has expired, which is said: no figure waits for new answers. Raises
    ``MarsError`` that names the file."""
    from mars.wire.keys import TrustRoot
    from mars.wire.reports.status import MAX_DOCUMENT
    from mars_server.publication.status_document import judged

    root = None
    if trust is not None:
        with naming(trust):
            root = TrustRoot.decode(read(trust, "The trust file"))
    with naming(path):
        try:
            return judged(read(path, *_ANSWERS, most=MAX_DOCUMENT + 1), product, now, root)
        except TrustError as error:
            if error.reason != "expired":
                raise
            options.say(f"Left out: {error.message}")
            return None


def _faults(path: Path) -> Faults:
    from mars_server.tables.faults import Faults

    with naming(path):
        return Faults.decode(read(path, "The figures of faults", "faults"))


def _proposal(crowd: int, proposed: int) -> str:
    """Only a person changes the crowd: whoever forges hits could otherwise raise it."""
    how = "in product.toml, and with the next release's trust file (mars-motd trust)"
    if proposed < crowd:
        return (
            f"Fewer than {crowd} installations may send metrics: set crowd = {proposed} {how}, so "
            "that each request says less."
        )
    return (
        f"At least {2 * proposed} installations have sent metrics in each of the last 13 weeks "
        f"without a flag, as far as hits tell: crowd = {proposed} could be set {how}. Do so only "
        "if your downloads or sales agree: 1,238 forged hits a week make 1,250 installations "
        "of 100."
    )


def _operator(text: str) -> str:
    """As the pages show it. Raises ``ConfigError`` (``operator-invalid``)."""
    from mars_server.site.pages.events import MOST_OPERATOR

    if not text.isprintable() or len(text) > MOST_OPERATOR:
        raise ConfigError(
            "operator-invalid",
            f"--operator is one line of at most {MOST_OPERATOR} characters; shorten it.",
        )
    return text


def _secret(path: Path, least: int) -> bytes:
    """A secret file's bytes; refused where others may read it or where it is too short."""
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ConfigError("secret-readable", f"{path} can be read by others; run chmod 600 on it.")
    data = read(path, "The secret")
    if len(data) < least:
        raise ConfigError("secret-short", f"{path} must hold at least {least} bytes.")
    return data
