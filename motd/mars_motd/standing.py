"""How what rides beside the news stands: there, current, and who could renew it here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mars.errors import MarsError
from mars.ports import OpenPGP
from mars.wire.envelope import Envelope
from mars.wire.keys import ROLES
from mars.wire.motd import Motd
from mars.wire.steering import Steering
from mars.wire.times import day_of, format_time
from mars_motd import pairs, registry, riders
from mars_motd.epochs import Epochs
from mars_motd.folder import Folder
from mars_motd.kinds import Document
from mars_motd.lints import SOON
from mars_motd.riders import D, Rider

INTAKE_DAYS = 21
"""Root has to come out for new keys of the intake, so they are told of three weeks ahead."""


@dataclass(frozen=True)
class RiderStanding:
    """Of one of the two; None where none was signed in this epoch."""

    serial: int | None
    issued: str | None
    current: bool
    changes: tuple[str, ...]
    """What it does not say yet, one member a line."""


@dataclass(frozen=True)
class Collected:
    """How declared statistics and error events stand."""

    live: int
    """Entries that may be collected."""
    registry: str | None
    """SHA-256 of the document that clients believe; None where root has signed none."""
    intake_days_left: int | None
    """Whole days until clients have no key to seal to; None where no registry is signed."""
    expiring: Mapping[str, int]
    """Days left of each entry, or name of an error event, that ends soon."""
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """A document is None where none is declared, or one of ``problems`` says why."""

    steering: RiderStanding | None
    release: RiderStanding | None
    statistics: Collected
    root: bool
    """Whether secrets of root are on this machine."""
    roles: Mapping[str, bool]
    """Whether enough keys of each role are on this machine to sign."""
    problems: tuple[str, ...]


def standing(
    folder: Folder,
    epochs: Epochs,
    openpgp: OpenPGP,
    now: int,
    news: Document[Motd] | None,
    moment: int,
) -> Standing:
    """As clients judge it at ``now`` (Unix seconds); ``news`` are what was signed last. What is
    collected, and for how long there are keys, is that of ``moment``."""
    steering, damaged = _loaded(riders.load_steering, folder, epochs, openpgp, now)
    release, wrong = _loaded(riders.load_release, folder, epochs, openpgp, now)
    beside = news.envelope if news is not None else None
    statistics = collected(folder, steering, moment)
    problems = [
        *damaged,
        *wrong,
        *statistics.problems,
        *_to_do(steering, beside, beside and beside.x_steering),
        *_to_do(release, beside, beside and beside.x_release),
    ]
    store = folder.keys
    return Standing(
        _of(steering),
        _of(release),
        statistics,
        any(it.role == "root" and store.has_secret(it) for it in store.records()),
        {role: riders.has_enough_keys(role, epochs, store) for role in ROLES},
        tuple(problems),
    )


def collected(folder: Folder, rider: Rider[Steering] | None, now: int) -> Collected:
    """By what clients believe: ``rider`` as root has signed it last."""
    try:
        return _collected(folder, rider, now)
    except MarsError as error:
        return Collected(0, None, None, {}, (f"{error.message} [{error.reason}]",), ())


def _collected(folder: Folder, rider: Rider[Steering] | None, now: int) -> Collected:
    said = rider.last.said if rider is not None and rider.last is not None else None
    draft, today = registry.read(folder, day_of(now)), day_of(now)
    live = {it.name: it for it in draft.catalogue.entries if it.is_live(today)}
    ends = {
        name: (live[name].expires - today).days
        for name in registry.declared(draft.catalogue)
        if name in live and live[name].expires - today <= SOON
    }
    signed = said.registry if said is not None else ""
    left = pairs.days_left(said.intake, now) if said is not None and signed else None
    written = registry.document(folder)
    warnings = [f"{name} expires in {days} days" for name, days in ends.items()]
    if live and not written:
        warnings.append("no registry says what is declared, so nothing is sent: mars-motd registry")
    return Collected(
        live=len(live),
        registry=signed or None,
        intake_days_left=left,
        expiring=ends,
        problems=tuple(_uncollected(draft, written, left)),
        warnings=tuple(warnings),
    )


def _uncollected(draft: registry.Draft, written: bytes, left: int | None) -> Iterator[str]:
    """What keeps statistics from coming, now or soon."""
    errors = [problem for problem in draft.problems if not problem.warning]
    if errors:
        yield f"{len(errors)} errors in what is declared: mars-motd check"
    elif told := registry.stale(draft, written):
        yield told
    if left is not None and left < INTAKE_DAYS:
        said = f"end in {left} days" if left else "are missing for this week"
        yield f"the intake's keys {said}: mars-motd key new --intake, then steering"


def _loaded(
    load: Callable[[Folder, Epochs, OpenPGP, int], Rider[D]],
    folder: Folder,
    epochs: Epochs,
    openpgp: OpenPGP,
    now: int,
) -> tuple[Rider[D] | None, list[str]]:
    """It, or why it cannot be told of."""
    try:
        return load(folder, epochs, openpgp, now), []
    except MarsError as error:
        return None, [f"{error.message} [{error.reason}]"]


def _to_do(rider: Rider[Any] | None, news: Envelope | None, riding: Envelope | None) -> list[str]:
    if rider is None or rider.wanted is None:
        return []
    name, command = rider.kind.name, rider.kind.name.partition(" ")[0]
    if rider.last is None:
        return [f"there is no {name} of this epoch: mars-motd {command}"]
    if not rider.is_current:
        changed = ", ".join(line.partition(":")[0] for line in rider.changes())
        return [f"the {name} does not say yet what changed ({changed}): mars-motd {command}"]
    if news is not None and riding != rider.last.envelope:
        return [f"the news carry another {name} than the last: mars-motd sign"]
    return []


def _of(rider: Rider[Any] | None) -> RiderStanding | None:
    if rider is None or (rider.wanted is None and rider.last is None):
        return None
    said = rider.last.said if rider.last is not None else None
    return RiderStanding(
        serial=said.serial if said else None,
        issued=format_time(said.issued) if said else None,
        current=rider.is_current,
        changes=() if rider.is_current else tuple(rider.changes()),
    )
