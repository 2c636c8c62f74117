"""How what rides beside the news stands: there, current, and who could renew it here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mars.errors import MarsError
from mars.ports import OpenPGP
from mars.wire.envelope import Envelope
from mars.wire.keys import ROLES
from mars.wire.motd import Motd
from mars.wire.times import format_time
from mars_motd import riders
from mars_motd.epochs import Epochs
from mars_motd.folder import Folder
from mars_motd.kinds import Document
from mars_motd.riders import D, Rider


@dataclass(frozen=True)
class RiderStanding:
    """Of one of the two; None where none was signed in this epoch."""

    serial: int | None
    issued: str | None
    current: bool
    changes: tuple[str, ...]
    """What it does not say yet, one member a line."""


@dataclass(frozen=True)
class Standing:
    """A document is None where none is declared, or one of ``problems`` says why."""

    steering: RiderStanding | None
    release: RiderStanding | None
    root: bool
    """Whether secrets of root are on this machine."""
    roles: Mapping[str, bool]
    """Whether enough keys of each role are on this machine to sign."""
    problems: tuple[str, ...]


def standing(
    folder: Folder, epochs: Epochs, openpgp: OpenPGP, now: int, news: Document[Motd] | None
) -> Standing:
    """As clients judge it at ``now`` (Unix seconds); ``news`` are what was signed last."""
    steering, damaged = _loaded(riders.load_steering, folder, epochs, openpgp, now)
    release, wrong = _loaded(riders.load_release, folder, epochs, openpgp, now)
    beside = news.envelope if news is not None else None
    problems = [
        *damaged,
        *wrong,
        *_to_do(steering, beside, beside and beside.x_steering),
        *_to_do(release, beside, beside and beside.x_release),
    ]
    store = folder.keys
    return Standing(
        _of(steering),
        _of(release),
        any(it.role == "root" and store.has_secret(it) for it in store.records()),
        {role: riders.has_enough_keys(role, epochs, store) for role in ROLES},
        tuple(problems),
    )


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
