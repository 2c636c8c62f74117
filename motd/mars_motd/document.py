"""The signed document: made, judged by the client's own rules, recorded, deployed, watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from packaging.version import Version

from mars.errors import ConfigError, MarsError, StateError, TrustError, WireError
from mars.ports import OpenPGP
from mars.trust import RefusedError, TrustState, verify, verify_chain
from mars.trust.rules import MAX_LIFETIME, MIN_LIFETIME
from mars.trust.signatures import FUTURE
from mars.wire import envelope as envelopes
from mars.wire.envelope import MAX_ENVELOPE
from mars.wire.keys import TrustRoot
from mars.wire.motd import Motd
from mars.wire.product import Product
from mars.wire.steering import Steering
from mars.wire.times import DAY, format_time
from mars_motd import expiry, issued, steering
from mars_motd.epochs import Epochs, installed
from mars_motd.folder import Content, Folder
from mars_motd.issued import News
from mars_motd.keystore import KeyRecord
from mars_motd.kinds import NEWS, require_dated
from mars_motd.signatures import Judge, Progress, progress

MIN_DAYS = 7
"""Days that a document must still be valid: clients fetch every 3 to 10 days."""
WARN_DAYS = 10
"""Clients fetch every 3 to 10 days, so less than this leaves some without valid news."""
_WARN_KEYS_DAYS = 60
NO_SERVER = (
    "servers in product.toml is empty, so clients fetch nothing: write there what "
    '"mars-server onion address" prints, then sign and trust anew'
)


def compose(product: Product, content: Content, steering: Steering, now: int) -> Motd:
    """The payload of a document issued at ``now`` (Unix seconds); it restates ``steering``."""
    return Motd(
        product=product.product,
        channel=product.channel,
        epoch=steering.epoch,
        serial=now,
        issued=now,
        expires=now + product.lifetime_days * DAY,
        reportback_next=steering.reportback_next,
        reportback_server=steering.servers[0] if steering.servers else "",
        news=content.news,
        newest_version=max(product.releases, key=Version, default=""),
        messages=content.messages,
    )


def draft(folder: Folder, epoch: int, now: int) -> Motd:
    """The same of what lies in ``folder``. Raises ``ConfigError`` (``content-invalid``)."""
    content = folder.content()
    content.require()
    return compose(folder.product, content, steering.wanted(folder, epoch), now)


def strange_settings(motd: Motd, product: Product) -> list[str]:
    """What a document by someone else tells clients about fetching that product.toml does not."""
    server = product.servers[0] if product.servers else ""
    return [
        f"{name} is {there!r} in the document, but {here!r} in product.toml"
        for name, there, here in (
            ("reportback_server", motd.reportback_server, server),
            ("reportback_next", motd.reportback_next, product.reportback_next),
        )
        if there != here
    ]


def require_timely(news: News, where: object, now: int) -> None:
    """Raises ``TrustError`` as clients would at ``now``, for what does not lie in signatures: they
    are asked of complete documents alone, and a holder's signature cannot be taken back."""
    motd = news.said
    require_dated(motd, where, now)
    if not MIN_LIFETIME <= motd.expires - motd.issued <= MAX_LIFETIME:
        said = f"{where} must be valid for 14 to 60 days. Sign a new one."
        raise TrustError("bad-lifetime", said)
    if now >= motd.expires:
        raise TrustError(
            "expired", f"{where} expired at {format_time(motd.expires)}. Sign a new one."
        )


def require_keys_outlast(motd: Motd, epochs: Epochs, now: int) -> None:
    """Raises ``StateError`` (``openpgp-ends``) where an OpenPGP key, as clients have it, ends
    before the document or the epoch does, or has ended."""
    news = epochs.keys.signing(NEWS.role).openpgp
    expiry.require_outlasting(news, max(motd.expires, now + 1), now, "the document")
    if epochs.expires is not None:
        expiry.require_outlasting(epochs.keys.openpgp, epochs.expires, now, "the keys document")


@dataclass(frozen=True)
class Clients:
    """What clients of ``epochs`` make of documents at ``now`` (Unix seconds)."""

    epochs: Epochs
    now: int
    openpgp: OpenPGP

    def accepted(
        self,
        data: bytes,
        others: Sequence[tuple[TrustRoot, TrustState]] = (),
        *,
        behind: bool = False,
    ) -> Motd:
        """What they read in ``data``: a new one of this epoch, one of the oldest epoch that the
        chain still reaches, and ``others``, by what they pin and remember.

        All of them have gpg here, so a missing OpenPGP signature is never overlooked. Raises what
        the client raises, with the reason it would note; also where it would pass over something
        that rides along, unless the news are dated ``behind`` that on purpose.
        """
        if len(data) > MAX_ENVELOPE:
            raise ConfigError(
                "too-large",
                f"The signed document has {len(data)} bytes; clients take {MAX_ENVELOPE}. Shorten "
                f"the texts or remove old messages.",
            )
        epochs = self.epochs
        oldest = epochs.number - len(epochs.riding(envelopes.decode(data)).x_keys)
        roots = [epochs.root_at(number) for number in (epochs.number, oldest)]
        asked = [(root, installed(root)) for root in roots]
        try:
            for root, it in others:
                state = replace(it, openpgp=True)
                if state.epoch < oldest:  # it will fetch keys.json
                    state = verify_chain(epochs.chain, root, state, self.now, self.openpgp)
                asked.append((root, state))
            read = [verify(data, *who, self.now, self.openpgp) for who in asked]
        except TrustError as error:
            said = f"Clients would refuse this document: {error.message}"
            raise TrustError(error.reason, said) from None
        for note in (note for accepted in read for note in accepted.notes if not behind):
            raise _passed_over(note)
        return read[0].motd

    def newest(self, folder: Folder, until: int) -> News | None:
        """The newest document of their epoch up to ``until`` that has all signatures."""
        ours = (it for it in issued.each(folder, until) if it.said.epoch == self.epochs.number)
        return next((it for it in ours if self.progress(it).complete), None)

    def progress(self, document: News) -> Progress:
        """How far its signatures are under the newest keys, also where it is dated ahead."""
        dated = document.said.issued
        judge = Judge(self.openpgp, dated, max(self.now, dated))
        return progress(document.envelope, self.epochs.keys.signing(NEWS.role), judge)

    def minimum_serial(self, folder: Folder, until: int) -> int:
        """The serial of ``newest``, for a release to pin; 0 where there is none.

        A floor that no document can reach would cut off every user of that release, so only what
        clients believe at ``now`` counts, to the day; that it has expired since does not matter.
        Raises ``TrustError`` as clients would.
        """
        document = self.newest(folder, until)
        if document is None:
            return 0
        serial = document.said.serial
        try:
            self.accepted(envelopes.encode(document.envelope))
        except TrustError as error:
            if error.reason != "expired":
                said = f"{issued.path_of(folder, serial)}: {error.message}"
                raise TrustError(error.reason, said) from None
        return serial

    def deployable(
        self, data: bytes, deployed: bytes | None, min_days: int, chain: bytes | None = None
    ) -> Motd:
        """What they read in ``data`` in the place of ``deployed`` and of the keys.json ``chain``.

        Raises ``TrustError`` as they would, or ``expires-soon``; ``StateError``:
        ``deploy-unreadable`` where ``deployed`` is not a document of this product,
        ``epoch-behind`` where it, or ``chain``, goes on after our epochs.
        """
        others = [] if deployed is None else [self._memory(deployed)]
        if chain is not None:
            others += self._followed(chain)
        for _, state in others:
            if state.epoch > self.epochs.number:
                raise StateError(
                    "epoch-behind",
                    f"Clients follow epoch {state.epoch} there already, and this folder ends at "
                    f"epoch {self.epochs.number}: bring the missing trust/epoch-N.json.",
                )
        motd = self.accepted(data, others)
        left = (motd.expires - self.now) // DAY
        if left < min_days:
            raise TrustError(
                "expires-soon",
                f"The document expires on {format_time(motd.expires)}, in {left} days; at least "
                f"{min_days} are asked for. Sign a new one.",
            )
        return motd

    def _memory(self, deployed: bytes) -> tuple[TrustRoot, TrustState]:
        """What one remembers that fetched the deployed document, and followed *its* keys documents
        from the last epoch before them: those may be of a fork, which our own would not show."""
        try:
            news, epochs = NEWS.decode(deployed), self.epochs
            epoch = news.said.epoch - len(news.envelope.x_keys)
            if not epochs.root.epoch <= epoch <= epochs.number:
                raise TrustError("wrong-epoch", f"it is of epoch {news.said.epoch}")
            root = epochs.root_at(epoch)
            return root, verify(deployed, root, installed(root), self.now, self.openpgp).state
        except RefusedError as error:
            return root, error.state
        except (TrustError, WireError) as error:
            raise StateError(
                "deploy-unreadable",
                f"What lies at the destination is not a document that clients of this product "
                f"accepted ({error.message}). Make sure that the destination is right, then move "
                f"that file away.",
            ) from None

    def _followed(self, chain: bytes) -> list[tuple[TrustRoot, TrustState]]:
        """What one remembers that followed all of ``chain``; nobody where it is not of ours."""
        root = self.epochs.root_at(self.epochs.root.epoch)
        try:
            return [(root, verify_chain(chain, root, installed(root), self.now, self.openpgp))]
        except (TrustError, WireError):
            return []


def _passed_over(note: str) -> TrustError:
    what, _, reason = note.partition(": ")
    said = f"Clients would pass over the {what} document that rides along"
    if reason == "differs":
        said = "The news name another server or interval than the steering document beside them"
    return TrustError(reason, f"{said}. See mars-motd status, then sign new ones.")


@dataclass(frozen=True)
class Status:
    """Times are ISO 8601 texts, since this is what is printed; None where nothing was signed."""

    serial: int | None
    issued: str | None
    expires: str | None
    days_left: int | None
    epoch: int
    keys_days_left: int | None
    """None in the first epoch, whose keys are pinned without an end."""
    openpgp_days_left: int | None
    """Until the first pinned OpenPGP key ends; None where none does."""
    signed_by: tuple[str, ...]
    could_sign: tuple[str, ...]
    """Keys of the epoch that have not signed this document."""
    threshold: int
    missing: int
    openpgp: bool
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def status(
    document: News | None,
    clients: Clients,
    records: Sequence[KeyRecord],
    warn_days: int = WARN_DAYS,
) -> Status:
    """``document`` is the newest that was signed, complete or not.

    It is judged by the clients' own rules, so what they would refuse is a problem.
    """
    epochs, names = clients.epochs, {record.keyid: record.name for record in records}
    motd = document.said if document is not None else None
    state = clients.progress(document) if document is not None else None
    signed = state.signed if state is not None else ()
    keys_left = (epochs.expires - clients.now) // DAY if epochs.expires is not None else None
    problems, ends = [], expiry.endings(epochs.keys.openpgp, clients.now)
    if keys_left is not None and keys_left < _WARN_KEYS_DAYS:
        problems.append(f"the keys document expires in {keys_left} days: mars-motd key rotate")
    role = epochs.keys.roles[NEWS.role]
    waiting = [keyid for keyid in role.ed25519 if keyid not in signed]
    return Status(
        serial=motd.serial if motd else None,
        issued=format_time(motd.issued) if motd else None,
        expires=format_time(motd.expires) if motd else None,
        days_left=(motd.expires - clients.now) // DAY if motd else None,
        epoch=epochs.number,
        keys_days_left=keys_left,
        openpgp_days_left=next((it.days for it in ends), None),
        signed_by=tuple(names.get(keyid, keyid) for keyid in signed),
        could_sign=tuple(names.get(keyid, keyid) for keyid in waiting),
        threshold=role.threshold,
        missing=max(0, role.threshold - len(signed)),
        openpgp=state is not None and state.openpgp_present,
        problems=(*problems, *_to_do(document, clients, warn_days)),
    )


def _to_do(document: News | None, clients: Clients, warn_days: int) -> list[str]:
    if document is None:
        return ["nothing was signed yet: mars-motd sign"]
    motd, now, state, found = document.said, clients.now, clients.progress(document), []
    left = (motd.expires - now) // DAY
    if motd.epoch != clients.epochs.number:
        found.append(f"the newest document is of epoch {motd.epoch}: mars-motd sign")
    elif not state.complete:
        found.append(f"signatures are missing ({state}): mars-motd sign --add-to")
    if motd.issued > now + FUTURE:
        found.append("the document is dated more than a day ahead of this computer's clock")
    if left < warn_days:
        said = "has expired" if now >= motd.expires else f"expires in {left} days"
        found.append(f"the document {said}: mars-motd sign")
    try:
        require_keys_outlast(motd, clients.epochs, now)
    except StateError as error:
        found.append(f"{error.message} [{error.reason}]")
    if not found:  # nothing known is wrong with it; do clients agree?
        try:
            clients.accepted(envelopes.encode(document.envelope))
        except MarsError as error:
            found.append(f"{error.message} [{error.reason}]")
    return found
