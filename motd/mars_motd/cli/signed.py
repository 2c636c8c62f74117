"""``mars-motd verify``, ``deploy`` and ``status``: what is signed already."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from mars.commandline import F, json_option, shown
from mars.errors import StateError, naming
from mars.ports import OpenPGP
from mars.trust import Accepted, RefusedError, TrustState, verify_chain
from mars.trust import verify as judge
from mars.trust.signatures import FUTURE
from mars.wire import envelope as envelopes
from mars.wire.catalogue import Catalogue
from mars.wire.envelope import MAX_CHAIN, Envelope
from mars.wire.keys import TrustRoot
from mars.wire.times import format_time
from mars_motd import document as doc
from mars_motd import epochs as ep
from mars_motd import files, issued, registry
from mars_motd.cli import options
from mars_motd.document import MIN_DAYS, NO_SERVER, WARN_DAYS, Clients, Status
from mars_motd.folder import Folder
from mars_motd.kinds import KEYS, NEWS, RELEASE, STEERING, Kind
from mars_motd.signatures import Judge, extract_signatures
from mars_motd.standing import Standing, standing


@click.command()
@click.argument("document", metavar="F", type=options.FILE)
@click.option(
    "--trust", required=True, type=options.FILE, metavar="F", help="What the client pins."
)
@options.now_option("The client's clock. Default: this computer's.")
@options.file_option("--state", "The client's memory: read, and written on acceptance.")
@options.file_option(
    "--keys", "Follow the keys documents in F (keys.json) first, as a client does after long."
)
@json_option("Print one JSON object.")
@options.file_option(
    "--extract",
    "Also write signed bytes, keys and signatures there, and print the commands of openssl "
    "and gpgv that verify them.",
    metavar="DIR",
)
def verify(
    document: Path,
    trust: Path,
    now: int | None,
    state: Path | None,
    keys: Path | None,
    as_json: bool,
    extract: Path | None,
) -> None:
    """Judge the document F as a client does that pins the file --trust.

    Exit code 0: accepted; 1: refused, with the reason. What rides along and is passed over is
    named under "notes". Without --state the client is a new installation.
    """
    moment, openpgp = options.clock_or(now), options.openpgp()
    root = options.read_as(TrustRoot.decode, trust, "The trust file")
    data, known, chain = options.read(document, "The document"), _known(state), b""
    if keys is not None:
        chain = options.read(keys, "The chain of keys", MAX_CHAIN)
        with naming(keys):
            known = verify_chain(chain, root, known, moment, openpgp)
    with naming(document):
        accepted = _accepted(data, root, known, moment, state, openpgp)
    commands = []
    if extract is not None:
        for contents, some in _extract(
            accepted, data, chain, root, lambda issued: Judge(openpgp, issued, moment)
        ):
            commands += some
            for name, content in contents.items():
                files.replace(extract / name, content)
    if state is not None:  # last, so that a command that failed can be given again
        files.replace(state, accepted.state.encode())
    with nullcontext() if state is None and extract is None else options.telling():
        more = {"commands": commands} if extract is not None else {}
        plain = {"ok": True, **_facts(accepted), **more}
        options.tell(as_json, plain, _accepted_lines(accepted, commands))


def _accepted_lines(accepted: Accepted, commands: list[str]) -> Iterator[str]:
    motd = accepted.motd
    yield f"accepted: {motd.product} {motd.channel}, serial {motd.serial}"
    yield f"issued {format_time(motd.issued)}, expires {format_time(motd.expires)}"
    if not accepted.news:
        yield "no news: this very document was accepted before"
    yield from (f"passed over: {note}" for note in accepted.notes)
    yield from commands


def _known(state: Path | None) -> TrustState:
    if state is None or not state.exists():
        return TrustState.initial()
    return options.read_as(TrustState.decode, state, "The state file")


def _accepted(
    data: bytes, root: TrustRoot, known: TrustState, now: int, state: Path | None, openpgp: OpenPGP
) -> Accepted:
    try:
        return judge(data, root, known, now, openpgp)
    except RefusedError as error:
        if state is not None:
            files.replace(state, error.state.encode())
        raise


def _extract(
    accepted: Accepted, data: bytes, chain: bytes, root: TrustRoot, by: Callable[[int], Judge]
) -> list[tuple[dict[str, bytes], list[str]]]:
    """Files and commands for each keys document, for the news and for what rides beside them, in
    their order."""
    document, parts, epoch, keys = NEWS.decode(data), [], root.epoch, root.keys
    for step in (*(envelopes.decode_chain(chain) if chain else ()), *document.envelope.x_keys):
        next_ = KEYS.read(step.payload)
        if next_.epoch != epoch + 1:
            continue
        old, new, name = keys.signing("root"), next_.keys.signing("root"), f"epoch-{next_.epoch}"
        parts.append(extract_signatures(step, old, name, by(next_.issued)))
        if new != old:
            parts.append(extract_signatures(step, new, f"{name}-new", by(next_.issued)))
        epoch, keys = next_.epoch, next_.keys
    news = keys.signing(NEWS.role)
    parts.append(extract_signatures(document.envelope, news, "motd", by(document.said.issued)))
    riders: Sequence[tuple[Kind[Any], Envelope | None]]
    riders = ((STEERING, document.envelope.x_steering), (RELEASE, document.envelope.x_release))
    for kind, rider in riders:
        if rider is None:
            continue
        said = kind.read(rider.payload)
        if said in (accepted.state.steering, accepted.state.release):
            role, name = keys.signing(kind.role), kind.name.partition(" ")[0]
            parts.append(extract_signatures(rider, role, name, by(said.issued)))
    return parts


def _facts(accepted: Accepted) -> dict[str, object]:
    motd = accepted.motd
    return {
        **{name: getattr(motd, name) for name in ("serial", "product", "channel", "epoch")},
        "issued": format_time(motd.issued),
        "expires": format_time(motd.expires),
        "news": accepted.news,
        "openpgp": accepted.state.openpgp,
        "steering": accepted.steering.serial or None,
        "release": accepted.state.release.serial if accepted.state.release else None,
        "notes": list(accepted.notes),
    }


_ANSWERS = "status.json"
_NO_ANSWERS = (
    f"there is no {_ANSWERS} beside it, and clients of releases that take error reports ask for "
    "it: mars-server errors status makes one, also before the first report"
)


def _days(name: str, default: int, text: str) -> Callable[[F], F]:
    days = click.IntRange(0, 60)
    return click.option(name, type=days, default=default, show_default=True, metavar="N", help=text)


@click.command()
@options.folder_argument
@click.argument("destination", metavar="DEST", type=options.FILE)
@options.file_option("--file", "Deploy F. Default: the newest signed here.")
@_days("--min-days", MIN_DAYS, "Refuse a document that expires within N days.")
@options.now_option("Judge at this time. Default: now.")
@json_option("Print one JSON object.")
def deploy(
    folder: Path,
    destination: Path,
    file: Path | None,
    min_days: int,
    now: int | None,
    as_json: bool,
) -> None:
    """Put the signed document at DEST (a file, or a folder for motd.json) in one step, and beside
    it keys.json, all keys documents, and registry.json, what may be sent, where there are any.

    Refused, with exit code 1: what a new client or one that accepted the files now at DEST would
    refuse (so also a lower serial, and a fork of the keys), a registry that is not the one whose
    hash root has signed, and what expires soon.
    """
    place = Folder.at(folder)
    clients = Clients(ep.load(place), options.clock_or(now), options.openpgp())
    target = destination / "motd.json" if destination.is_dir() else destination
    place.require_output(target, NEWS.decode)
    chain = target.with_name("keys.json")
    place.require_output(chain, envelopes.decode_chain)
    beside = target.with_name("registry.json")
    place.require_output(beside, Catalogue.decode)
    if file is not None:
        data = options.read(file, "The document")
    elif newest := clients.newest(place, _until(clients)):
        data = envelopes.encode(newest.envelope)
    else:
        raise StateError("nothing-signed", "No complete document was signed here yet.")
    deployed = options.read(target, "The deployed document") if target.exists() else None
    with naming(file or target):
        lies = options.read(chain, "The deployed chain", MAX_CHAIN) if chain.exists() else None
        motd = clients.deployable(data, deployed, min_days, lies)
    steers = NEWS.decode(data).envelope.x_steering
    hashed = "" if steers is None else STEERING.read(steers.payload).registry
    declared = registry.for_steering(place, hashed)
    if clients.epochs.steps:
        files.replace(chain, clients.epochs.chain)
    if declared is not None:
        files.replace(beside, declared)
    files.replace(target, data)
    if place.product.reports_releases and not target.with_name(_ANSWERS).exists():
        click.echo(f"warning: {_NO_ANSWERS}", err=True)
    expires = format_time(motd.expires)
    plain = {"ok": True, "serial": motd.serial, "epoch": motd.epoch, "expires": expires}
    plain |= {"registry": hashed or None}
    with options.telling():
        told = f"{shown(target)}: serial {motd.serial}, expires {expires}"
        options.tell(as_json, plain, [told])


def _until(clients: Clients) -> int:
    """Later dates do not count, but for whom ``--now`` takes there."""
    return max(clients.now, options.clock_or(None)) + FUTURE


@click.command()
@options.folder_argument
@options.file_option("--file", "Judge F. Default: the newest signed here.")
@_days("--days", WARN_DAYS, "Complain when the document expires within N days.")
@options.now_option("Default: this computer's clock.")
@json_option("Print one JSON object.")
def status(folder: Path, file: Path | None, days: int, now: int | None, as_json: bool) -> None:
    """Say how the news of DIR stands; exit code 1 if something is to be done.

    Days to expiry, epoch, who has signed, which signatures are missing; whether what rides along
    is there and current, and which roles could sign on this machine. Reads no secret.
    """
    place = Folder.at(folder)
    clients = Clients(ep.load(place), options.clock_or(now), options.openpgp())
    until = _until(clients)
    document = issued.newest(place, until) if file is None else options.read_document(NEWS, file)
    found = doc.status(document, clients, place.keys.records(), days)
    clock = options.clock_or(None)
    beside = standing(place, clients.epochs, clients.openpgp, clock, document, clients.now)
    found = replace(found, problems=(*found.problems, *beside.problems))
    warnings = [*([] if place.product.servers else [NO_SERVER]), *beside.statistics.warnings]
    warnings += [
        f"issued/{serial}.json is dated more than a day ahead of the clock, so it does not count"
        for serial in issued.ahead(place, until)
    ]
    plain = {"ok": found.ok, **asdict(beside), **asdict(found), "warnings": warnings}
    options.tell(as_json, plain, [*_beside_lines(beside), *_status_lines(found)])
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    sys.exit(0 if found.ok else 1)


def _beside_lines(found: Standing) -> Iterator[str]:
    for name, rider in (("steering", found.steering), ("release", found.release)):
        if rider is not None and rider.serial is not None:
            said = "current" if rider.current else "to be renewed"
            yield f"{name} document: serial {rider.serial}, issued {rider.issued}, {said}"
    if found.statistics.registry is not None:
        days = found.statistics.intake_days_left
        yield f"statistics: {found.statistics.live} collected, keys of the intake for {days} days"
    here = [name for name, able in found.roles.items() if able]
    root = "here" if found.root else "away"
    yield f"can sign on this machine: {', '.join(here) or 'nobody'}; root is {root}"


def _status_lines(found: Status) -> Iterator[str]:
    if found.serial is not None:
        yield f"serial {found.serial}, issued {found.issued}"
        yield f"expires {found.expires} ({found.days_left} days)"
        yield f"signed by {', '.join(found.signed_by) or 'nobody'}"
        yield f"OpenPGP signature {'present' if found.openpgp else 'missing'}"
    keys = "" if found.keys_days_left is None else f", keys expire in {found.keys_days_left} days"
    yield f"epoch {found.epoch}, threshold {found.threshold}{keys}"
    if found.openpgp_days_left is not None:
        yield f"the first OpenPGP key that clients have ends in {found.openpgp_days_left} days"
    if found.missing:
        yield f"missing {found.missing}; could sign: {', '.join(found.could_sign)}"
    yield from (f"TO DO: {problem}" for problem in found.problems)
    if found.ok:
        yield "ok"
