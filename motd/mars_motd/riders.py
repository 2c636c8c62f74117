"""What rides beside the news: the steering document, which root signs, and the release document,
which the role ``release`` signs.

The last of each lies in the folder, ``steering.json`` and ``release.json``, public and signed, so
that whoever signs news carries it along without the keys that made it. It is believed for its
signatures alone: the folder passes through many hands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from mars.errors import ConfigError, MarsError, StateError, TrustError, WireError
from mars.ports import OpenPGP
from mars.trust import answered, signers
from mars.trust.chain import Current
from mars.trust.riders import ridden
from mars.trust.signatures import FUTURE
from mars.wire import envelope as envelopes
from mars.wire import strictjson
from mars.wire.envelope import MAX_PAYLOAD, Envelope
from mars.wire.keyfile import INTAKE
from mars.wire.release import Release
from mars.wire.steering import Steering
from mars.wire.times import format_time
from mars_motd import files, issued, pairs, steering
from mars_motd.epochs import Epochs, installed
from mars_motd.folder import Folder
from mars_motd.keystore import KeyStore
from mars_motd.kinds import RELEASE, STEERING, Document, Kind, require_dated
from mars_motd.signatures import Judge, Pending

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
    begun: Document[D] | None = None
    """The last one of this epoch that was signed here for others to complete."""

    @property
    def serial(self) -> int:
        """The last that was given to a text; 0 where none was."""
        return max((it.said.serial for it in (self.last, self.begun) if it is not None), default=0)

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

    def begin(self, epochs: Epochs, now: int, openpgp: OpenPGP) -> Pending[D]:
        """The one that is wanted, unsigned, dated ``now`` (Unix seconds), which is its serial.

        Raises ``TrustError`` (``rollback``): clients that have seen a later one pass it over.
        """
        assert self.wanted is not None
        if now <= self.serial:
            raise TrustError(
                "rollback",
                f"{self.path}, or one that waits for other holders, was signed at "
                f"{format_time(self.serial)}, which is not before {format_time(now)}: set the "
                f"clock, or wait until then.",
            )
        document = self.kind.unsigned(replace(self.wanted, serial=now, issued=now))
        return self._pending(document, epochs, Judge(openpgp, now, now))

    def resume(self, given: Document[D], epochs: Epochs, where: object, judge: Judge) -> Pending[D]:
        """One that others have signed. Raises ``ConfigError`` (``wrong-document``), ``TrustError``:
        ``future``, ``fast-forward``, ``rollback``, ``equivocation``."""
        epochs.require_ours(given.said, epochs.number, where)
        require_dated(given.said, where, judge.now)
        known = self.last.said if self.last is not None else None
        if known is not None and given.said.serial <= known.serial and given.said != known:
            raise TrustError(
                "rollback", f"{where} is not newer than {self.path}, so clients would pass it over."
            )
        begun = self.begun.said if self.begun is not None else None
        if begun is not None and given.said.serial == begun.serial and given.said != begun:
            raise TrustError(
                "equivocation",
                f"{where} has the serial of another text that was signed here, and clients take "
                f"two for forgery. Begin a new one.",
            )
        return self._pending(given, epochs, judge)

    def completed(
        self, pending: Pending[D], epochs: Epochs, openpgp: OpenPGP, now: int
    ) -> Rider[D]:
        """With ``pending``, which has all signatures, as the last one. Raises ``TrustError`` where
        clients would pass it over at ``now`` (Unix seconds)."""
        reason = _objection(self.kind, pending.envelope, epochs, openpgp, now)
        if reason:
            raise TrustError(
                reason, f"Clients would pass over this {self.kind.name}. Nothing was written."
            )
        return replace(self, last=pending)

    def keep_begun(self, pending: Pending[D]) -> None:
        """Writes down which text has the serial, for as long as signatures are missing."""
        files.replace(_begun(self.path, self.kind), envelopes.encode(pending.envelope))

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
            require_dated(given.said, self.kind.name, now)
        except (WireError, ConfigError, TrustError):
            return self
        if self.last is not None and given.said.serial <= self.last.said.serial:
            return self
        holds = not _objection(self.kind, given.envelope, epochs, openpgp, now)
        return replace(self, last=given) if holds else self

    def carried(self, other: Envelope | None) -> Rider[D]:
        """Where this folder declares nothing, what others put beside the news that they began."""
        if other is None or self.wanted is not None or self.last is None:
            return self
        return replace(self, wanted=self.last.said)

    def left_out(self) -> Rider[D]:
        """Nothing rides along: for what must not hold up the news."""
        return replace(self, wanted=None)

    def save(self) -> None:
        """Writes the last one into the folder."""
        if self.last is not None:
            files.replace(self.path, envelopes.encode(self.last.envelope))


@dataclass(frozen=True)
class Riders:
    """Both."""

    steering: Rider[Steering]
    release: Rider[Release]

    @property
    def dates(self) -> list[int]:
        """When those were made that ride along, Unix seconds."""
        both: tuple[Rider[Any], Rider[Any]] = (self.steering, self.release)
        return [it.last.said.issued for it in both if it.riding and it.last is not None]

    def beside(self, envelope: Envelope) -> Envelope:
        """``envelope`` with both riding along."""
        return replace(envelope, x_steering=self.steering.riding, x_release=self.release.riding)

    def or_newer(self, envelope: Envelope, epochs: Epochs, openpgp: OpenPGP, now: int) -> Riders:
        """With what rides in ``envelope``, where that is newer."""
        return Riders(
            self.steering.or_newer(envelope.x_steering, epochs, openpgp, now),
            self.release.or_newer(envelope.x_release, epochs, openpgp, now),
        )

    def carried(self, envelope: Envelope) -> Riders:
        """With the downloads that ride in ``envelope``, where the folder declares none."""
        return replace(self, release=self.release.carried(envelope.x_release))

    def save(self, before: Riders) -> None:
        """Writes down which of them are others than ``before``."""
        for old, new in ((before.steering, self.steering), (before.release, self.release)):
            if new.last is not old.last:
                new.save()


def load_steering(folder: Folder, epochs: Epochs, openpgp: OpenPGP, now: int) -> Rider[Steering]:
    """As clients believe it at ``now`` (Unix seconds). Raises as ``steering.wanted`` and
    ``_last``."""
    path, wanted = folder.root / "steering.json", steering.wanted(folder, epochs.number)
    rider = _lying(STEERING, path, wanted, epochs, openpgp, now)
    for news in _news(folder, now):
        rider = rider.or_newer(news.x_steering, epochs, openpgp, now)
    last = rider.last
    if last is not None and steering.is_past_alone(last.said, wanted, now):
        return replace(rider, wanted=last.said)
    return rider


def load_release(folder: Folder, epochs: Epochs, openpgp: OpenPGP, now: int) -> Rider[Release]:
    """As ``load_steering``. Raises ``ConfigError`` (``content-invalid``), and as ``_last``."""
    path, declared = folder.root / "release.json", folder.downloads().require()
    wanted = None if declared is None else replace(declared, epoch=epochs.number, serial=0)
    rider = _lying(RELEASE, path, wanted, epochs, openpgp, now)
    for news in _news(folder, now):
        rider = rider.or_newer(news.x_release, epochs, openpgp, now)
    return rider


def _lying(
    kind: Kind[D], path: Path, wanted: D | None, epochs: Epochs, openpgp: OpenPGP, now: int
) -> Rider[D]:
    """What lies in the folder."""
    last, begun = _last(kind, path, epochs, openpgp, now), None
    if files.exists(at := _begun(path, kind)):
        with suppress(MarsError):  # somebody else's: it holds nothing up
            document = kind.decode(files.read(at))
            epochs.require_ours(document.said, epochs.number, at)
            require_dated(document.said, at, now)
            if signers(document.envelope, epochs.keys.signing(kind.role)):
                begun = document
    return Rider(kind, path, wanted, last, begun)


def _begun(path: Path, kind: Kind[Any]) -> Path:
    return path.parent / "trust" / f"{kind.name.partition(' ')[0]}-begun.json"


def _news(folder: Folder, now: int) -> Iterator[Envelope]:
    """All that were signed here, the newest first, genuine or not: what rode beside them counts
    though a stale copy of it lies in the folder, since clients have seen it and go back to none."""
    with suppress(StateError):  # told by whoever needs the news themselves
        for news in issued.each(folder, now + FUTURE):
            yield news.envelope


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
    reason = _objection(kind, document.envelope, epochs, openpgp, now)
    if reason or said.serial != said.issued:
        raise _invalid(path, kind, f"is passed over by clients ({reason or 'fast-forward'})")
    return document


def _objection(
    kind: Kind[D], envelope: Envelope, epochs: Epochs, openpgp: OpenPGP, now: int
) -> str:
    """Why clients of this epoch pass it over at ``now``, by their own rules; empty where they do
    not."""
    root = epochs.root_at(epochs.number)
    pinned = Current(root, installed(root))
    steers = kind.role == STEERING.role
    news = Envelope(
        *("", b"", ()),
        x_steering=envelope if steers else None,
        x_release=None if steers else envelope,
    )
    _, notes = answered(openpgp, lambda verdicts: ridden(news, pinned, verdicts, now))
    return notes[0].partition(": ")[2] if notes else ""


def _invalid(path: Path, kind: Kind[Any], what: str) -> StateError:
    return StateError(
        "rider-invalid",
        f"{path} {what}: somebody changed it, or a clock was wrong. Restore it from version "
        f"control, or move it away, carry the keys of {kind.role} back, and have it made anew.",
    )


def _changes(kind: Kind[D], old: D | None, new: D) -> Iterator[str]:
    before = {} if old is None else _members(kind, old)
    for name, value in _members(kind, new).items():
        if name in _UNDATED or (old is not None and before.get(name) == value):
            continue
        if name == INTAKE:
            yield f"{name}: {', '.join(pairs.changes(before.get(name, {}), value)) or 'none'}"
        else:
            was = f"{json.dumps(before[name], ensure_ascii=False)} -> " if name in before else ""
            yield f"{name}: {was}{json.dumps(value, ensure_ascii=False)}"


def _members(kind: Kind[D], said: D) -> dict[str, Any]:
    members = strictjson.parse(kind.write(said), MAX_PAYLOAD)
    assert isinstance(members, dict)
    return members
