"""The status document: what became of each report, the same bytes for all, signed by the role
``status``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mars.errors import ConfigError, MarsError, StateError
from mars.trust import TrustState
from mars.trust.answers import accept_status
from mars.wire import ed25519, envelope
from mars.wire.envelope import STATUS_TYPE, Envelope, Signature, pae
from mars.wire.keys import ROLES, KeySet, Role, TrustRoot, keyid
from mars.wire.product import Product
from mars.wire.reports.crowd import NEEDED
from mars.wire.reports.direct import prefix_of
from mars.wire.reports.rules import Rule
from mars.wire.reports.status import (
    DELETED,
    MAX_ANSWERS,
    MAX_FAULTS,
    MAX_PREFIXES,
    MAX_STATUS,
    OPEN,
    RESOLVED,
    Answer,
    Known,
    Status,
    padded,
)
from mars.wire.times import DAY
from mars_server.storage.triage import groups, store
from mars_server.storage.triage.groups import Member
from mars_server.triage.answers import Word, answer, of_rule
from mars_server.triage.desk import Desk, Overview, word_of

AHEAD = 3600
"""Seconds that a serial may be ahead of the clock."""
_SERIAL, _SECRET = "status-serial", "status-secret"


@dataclass
class _Answers:
    """Each answer once."""

    places: dict[Answer, int] = field(default_factory=dict)

    def place(self, one: Answer) -> int:
        return self.places.setdefault(one, len(self.places))


@dataclass(frozen=True)
class Head:
    """What the document says of itself. Times are Unix seconds."""

    product: Product
    epoch: int
    issued: int


def compose(desk: Desk, head: Head, secret: bytes) -> Status:
    """The document of what the database holds now. ``secret``: 32 bytes that stay the same.

    Raises ``StateError`` (``rules-conflict``): of two rules that claim one fault neither can
    answer; and ``ConfigError`` (``status-too-large``).
    """
    answers = _Answers()
    with desk.engine.connect() as connection:
        said, members = groups.each(connection), groups.members(connection)
        if conflicts := Overview(desk.rules, said, members).conflicts():
            numbers = " and ".join(map(str, conflicts[0][1]))
            told = f"Rules {numbers} claim the same fault; see errors rules check."
            raise StateError("rules-conflict", told)
        words = {each.id: word_of(each) for each in said}
        prefixes = {
            prefix_of(each.guid) or b"": answers.place(
                answer(words[each.group], desk.rules, each.fault, each.release)
            )
            for each in groups.direct(connection)
        }
        gone = dict.fromkeys(groups.told_deleted(connection), answers.place(Answer(DELETED)))
    nothing = answers.places.get(Answer(OPEN))
    entries = sorted({**prefixes, **gone}.items(), key=lambda each: each[1] == nothing)
    rules = [*_by_rules(desk, answers)]
    known = [*dict.fromkeys(_by_person(words, members, answers))][: MAX_FAULTS - len(rules)]
    if len(answers.places) > MAX_ANSWERS:
        raise ConfigError("status-too-large", f"There are more than {MAX_ANSWERS} answers.")
    made = Status(
        head.product.product,
        head.product.channel,
        head.epoch,
        head.issued,
        head.issued,
        head.issued + head.product.lifetime_days * DAY,
        tuple(answers.places),
    )
    return _fitting(made, entries[:MAX_PREFIXES], known, rules, secret)


def _fitting(
    made: Status,
    told: list[tuple[bytes, int]],
    known: list[Known],
    rules: list[Known],
    secret: bytes,
) -> Status:
    """With as much of what senders can make many of as a document holds, the first of it; the rules
    are the operator's own, and stay."""
    while True:
        faults = (*known, *rules)
        status = replace(made, prefixes=padded(dict(told), secret), faults=faults)
        if len(status.written) <= MAX_STATUS or not (known or told):
            return status
        if known:
            known = known[: len(known) // 2]
        else:
            told = told[: len(told) // 2]


def _by_person(
    words: Mapping[int, Word], members: Iterable[Member], answers: _Answers
) -> Iterable[Known]:
    """Of faults that ten installations met, those first that most did: of one that fewer met nobody
    else is told."""
    for each in sorted(members, key=lambda it: -max(it.crowd, it.direct)):
        word = words[each.group]
        if max(each.crowd, each.direct) >= NEEDED and (word.state != OPEN or word.summary):
            affected = f"<{word.release}" if word.state == RESOLVED and word.release else ""
            match = Rule.parse(f"#{each.fault.digest}")
            yield Known(match, answers.place(word.answer), affected)


def _by_rules(desk: Desk, answers: _Answers) -> Iterable[Known]:
    for claim in desk.rules.claims:
        yield Known(claim.match, answers.place(of_rule(claim)), claim.affected)


def sign(status: Status, seed: bytes) -> bytes:
    """The envelope. Raises ``WireError`` (``too-large``)."""
    payload = status.encode()
    signature = ed25519.sign(seed, pae(STATUS_TYPE, payload))
    name = keyid(ed25519.public_key(seed))
    return envelope.encode(Envelope(STATUS_TYPE, payload, (Signature(name, signature),)))


def require_accepted(document: bytes, root: TrustRoot, now: int) -> None:
    """By the rules of a client that pins ``root``. Raises ``MarsError``, with the reason that the
    client would note."""
    try:
        accept_status(document, root, TrustState.initial(), now)
    except MarsError as error:
        error.message = f"Clients would refuse this document: {error.message}"
        raise


def pinning(product: Product, epoch: int, key: bytes) -> TrustRoot:
    """What clients would pin for whom ``key`` is that of the role status."""
    roles = {name: Role({}) for name in ROLES} | {"status": Role({keyid(key): key.hex()})}
    return TrustRoot(product.product, product.channel, epoch, KeySet(roles, policy="off"))


def issue(
    desk: Desk, product: Product, root: TrustRoot, seed: bytes, now: int, new: bytes
) -> bytes:
    """The next document; its serial is its time, and higher than that of the last. ``root`` is what
    clients pin. ``new``: 32 random bytes, the secret of a database that has none.

    Nothing is given out that a client would refuse. Raises as ``compose``, ``sign`` and
    ``require_accepted``; ``StateError`` (``clock-behind``), ``ConfigError`` (``key-other-role``).
    """
    if ed25519.public_key(seed).hex() not in root.keys.signing("status").ed25519.values():
        raise ConfigError(
            "key-other-role",
            "The key is not one of the role status that clients pin; take that one, or the trust "
            "file that pins this one.",
        )
    with desk.engine.begin() as connection:
        last = int(store.noted(connection, _SERIAL) or 0)
        held = store.noted(connection, _SECRET) or new.hex()
        store.note(connection, _SECRET, held)
    issued = max(now, last + 1)
    if issued > now + AHEAD:
        raise StateError(
            "clock-behind", "The last status document is from the future; set the clock right."
        )
    head = Head(product, root.epoch, issued)
    document = sign(compose(desk, head, bytes.fromhex(held)), seed)
    require_accepted(document, root, now)
    with desk.engine.begin() as connection:
        store.note(connection, _SERIAL, str(issued))
    return document
