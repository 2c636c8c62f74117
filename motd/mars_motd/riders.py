"""What rides beside the news: the steering document, which root signs, and the release document,
which the role ``release`` signs.

The last of each lies in the folder, ``steering.json`` and ``release.json``, public and signed, so
that whoever signs news carries it along without the keys that made it. It is believed for its
signatures alone: the folder passes through many hands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from mars.errors import ConfigError, StateError, TrustError, WireError
from mars.ports import OpenPGP
from mars.wire import envelope as envelopes
from mars.wire import strictjson
from mars.wire.envelope import MAX_PAYLOAD, Envelope
from mars.wire.release import Release
from mars.wire.steering import Steering
from mars.wire.times import format_time
from mars_motd import files, steering
from mars_motd.epochs import Epochs, numbered
from mars_motd.folder import Folder
from mars_motd.keystore import KeyStore
from mars_motd.kinds import RELEASE, STEERING, Document, Kind
from mars_motd.signatures import Judge, Pending, progress

D = TypeVar("D", Steering, Release)

_UNDATED = ("type", "version", "product", "channel", "serial", "issued")


@dataclass(frozen=True)
class Rider(Generic[D]):
    """One of the two, as it is and as the folder says it should be."""

    kind: Kind[D]
    path: Path
    wanted: D | None
    """What people wrote, without serial and date; None where nothing is declared."""
    last: Document[D] | None
    """The last one of this epoch that its role has signed."""

    @property
    def is_current(self) -> bool:
        if self.wanted is None:
            return True
        return self.last is not None and self.last.said.same_as(self.wanted)

    @property
    def riding(self) -> Envelope | None:
        """What goes beside the news."""
        return self.last.envelope if self.last is not None and self.wanted is not None else None

    def changes(self, said: D | None = None) -> list[str]:
        """What ``said``, or else what is wanted, says that the last one does not, a member each."""
        new = said or self.wanted
        old = None if self.last is None else self.last.said
        return [] if new is None else list(_changes(self.kind, old, new))

    def differing(self, said: D) -> list[str]:
        """What ``said``, made by someone else, says that the folder does not."""
        return [] if self.wanted is None else list(_changes(self.kind, self.wanted, said))

    def begin(self, epochs: Epochs, issued: int, openpgp: OpenPGP) -> Pending[D]:
        """The one that is wanted, unsigned, dated ``issued`` (Unix seconds), which is its serial.

        Raises ``TrustError`` (``rollback``): clients that have seen a later one pass it over.
        """
        assert self.wanted is not None
        if self.last is not None and issued <= self.last.said.serial:
            raise TrustError(
                "rollback",
                f"{self.path} was signed at {format_time(self.last.said.issued)}, which is not "
                f"before {format_time(issued)}: set the clock, or wait until then.",
            )
        document = self.kind.unsigned(replace(self.wanted, serial=issued, issued=issued))
        return self._pending(document, epochs, Judge(openpgp, issued, issued))

    def resume(self, given: Document[D], epochs: Epochs, where: object, judge: Judge) -> Pending[D]:
        """One that others have signed. Raises ``ConfigError`` (``wrong-document``), ``TrustError``
        (``rollback``)."""
        epochs.require_ours(given.said, epochs.number, where)
        known = self.last.said if self.last is not None else None
        if known is not None and given.said.serial <= known.serial and given.said != known:
            raise TrustError(
                "rollback", f"{where} is not newer than {self.path}, so clients would pass it over."
            )
        return self._pending(given, epochs, judge)

    def _pending(self, document: Document[D], epochs: Epochs, judge: Judge) -> Pending[D]:
        role = self.kind.role
        sets = {f"{role} of epoch {epochs.number}": epochs.keys.signing(role)}
        return Pending(document.envelope, document.said, sets, judge)

    def or_newer(
        self, other: Envelope | None, epochs: Epochs, openpgp: OpenPGP, now: int
    ) -> Rider[D]:
        """With ``other`` as the last one, where it holds and is newer: what rides beside news that
        were signed here or by a colleague."""
        if other is None:
            return self
        try:
            given = self.kind.decode(envelopes.encode(other))
            epochs.require_ours(given.said, epochs.number, self.kind.name)
        except (WireError, ConfigError):
            return self
        if self.last is not None and given.said.serial <= self.last.said.serial:
            return self
        holds = _holds(self.kind, given, epochs, openpgp, now)
        return replace(self, last=given) if holds else self

    def save(self) -> None:
        """Writes the last one into the folder."""
        if self.last is not None:
            files.replace(self.path, envelopes.encode(self.last.envelope))


@dataclass(frozen=True)
class Riders:
    """Both."""

    steering: Rider[Steering]
    release: Rider[Release]

    def beside(self, envelope: Envelope) -> Envelope:
        """``envelope`` with both riding along."""
        return replace(envelope, x_steering=self.steering.riding, x_release=self.release.riding)

    def or_newer(self, envelope: Envelope, epochs: Epochs, openpgp: OpenPGP, now: int) -> Riders:
        """With what rides in ``envelope``, where that is newer."""
        return Riders(
            self.steering.or_newer(envelope.x_steering, epochs, openpgp, now),
            self.release.or_newer(envelope.x_release, epochs, openpgp, now),
        )

    def save(self, before: Riders) -> None:
        """Writes down which of them are others than ``before``."""
        for old, new in ((before.steering, self.steering), (before.release, self.release)):
            if new is not old:
                new.save()


def load_steering(folder: Folder, epochs: Epochs, openpgp: OpenPGP, now: int) -> Rider[Steering]:
    """Raises as ``steering.wanted`` and ``_last``."""
    path, wanted = folder.root / "steering.json", steering.wanted(folder, epochs.number)
    lying = Rider(STEERING, path, wanted, _last(STEERING, path, epochs, openpgp, now))
    news = _last_news(folder)
    return lying.or_newer(news and news.x_steering, epochs, openpgp, now)


def load_release(folder: Folder, epochs: Epochs, openpgp: OpenPGP, now: int) -> Rider[Release]:
    """Raises ``ConfigError`` (``content-invalid``), and as ``_last``."""
    path, declared = folder.root / "release.json", folder.downloads().require()
    wanted = None if declared is None else replace(declared, epoch=epochs.number, serial=0)
    lying = Rider(RELEASE, path, wanted, _last(RELEASE, path, epochs, openpgp, now))
    news = _last_news(folder)
    return lying.or_newer(news and news.x_release, epochs, openpgp, now)


def load(folder: Folder, epochs: Epochs, openpgp: OpenPGP, now: int) -> Riders:
    """Both, as they lie in the folder at ``now`` (Unix seconds)."""
    return Riders(
        load_steering(folder, epochs, openpgp, now), load_release(folder, epochs, openpgp, now)
    )


def _last_news(folder: Folder) -> Envelope | None:
    """The news that were signed last: what rode beside them counts though a stale copy of it lies
    in the folder, since clients have seen it and go back to none."""
    serial = max(numbered(folder.issued), default=None)
    if serial is None:
        return None
    try:
        return envelopes.decode(files.read(folder.issued / f"{serial}.json"))
    except WireError:
        return None  # told by whoever needs the news themselves


def has_enough_keys(role: str, epochs: Epochs, store: KeyStore) -> bool:
    """Whether ``role`` can sign on this machine, by the number of its keys whose secrets are."""
    known = epochs.keys.roles[role]
    held = {it.ed25519 for it in store.records() if store.has_secret(it)}
    return len(held.intersection(known.ed25519.values())) >= known.threshold


def _last(
    kind: Kind[D], path: Path, epochs: Epochs, openpgp: OpenPGP, now: int
) -> Document[D] | None:
    """The one at ``path``; None where there is none, or one of an epoch that is over.

    Raises ``StateError`` (``rider-invalid``), ``ConfigError`` (``wrong-document``).
    """
    if not files.exists(path):
        return None
    try:
        document = kind.decode(files.read(path))
    except WireError as error:
        raise _invalid(path, kind, f"cannot be read ({error.reason})") from None
    said = document.said
    if said.epoch < epochs.number:
        epochs.require_ours(said, said.epoch, path)
        return None
    epochs.require_ours(said, epochs.number, path)
    if not _holds(kind, document, epochs, openpgp, now):
        raise _invalid(path, kind, f"is not signed by {kind.role} of epoch {epochs.number}")
    return document


def _holds(
    kind: Kind[D], document: Document[D], epochs: Epochs, openpgp: OpenPGP, now: int
) -> bool:
    issued = document.said.issued
    keys = epochs.keys.signing(kind.role)
    return progress(document.envelope, keys, Judge(openpgp, issued, max(now, issued))).complete


def _invalid(path: Path, kind: Kind[Any], what: str) -> StateError:
    return StateError(
        "rider-invalid",
        f"{path} {what}: somebody changed it. Restore it from version control, or move it away, "
        f"carry the keys of {kind.role} back, and have it made anew.",
    )


def _changes(kind: Kind[D], old: D | None, new: D) -> Iterator[str]:
    before = {} if old is None else _members(kind, old)
    for name, value in _members(kind, new).items():
        if name not in _UNDATED and (old is None or before.get(name) != value):
            was = f"{json.dumps(before[name], ensure_ascii=False)} -> " if name in before else ""
            yield f"{name}: {was}{json.dumps(value, ensure_ascii=False)}"


def _members(kind: Kind[D], said: D) -> dict[str, Any]:
    members = strictjson.parse(kind.write(said), MAX_PAYLOAD)
    assert isinstance(members, dict)
    return members
