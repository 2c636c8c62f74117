"""Error reports beside libsodium alone: made, opened, gathered and answered.

    python -m bench.crash [--write]      # --write puts the table into docs/performance.md

CPU times of one core; each is followed by the same operations of libsodium and nothing else, so
that the machine's speed meets both.
"""

from __future__ import annotations

import hashlib
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import nacl.bindings as sodium

from bench import page
from mars.wire import envelope, sealed
from mars.wire.envelope import STATUS_TYPE, Envelope, Signature
from mars.wire.reports.crowd import NEEDED, ORDER, Dealer, Share, recover
from mars.wire.reports.direct import Content, Identity
from mars.wire.reports.fault import MAX_FRAMES, Fault
from mars.wire.reports.outer import Destination, Outer
from mars.wire.reports.recipient import Recipient
from mars.wire.reports.rules import Rule
from mars.wire.reports.status import (
    MAX_DOCUMENT,
    MAX_PREFIXES,
    MAX_STATUS,
    Answer,
    Known,
    Status,
)
from mars.wire.sealed import LARGE, Opener

ROUNDS = 5
PRODUCT, RELEASE, SERVER = "examplemail", "0.5.2", "a" * 56 + ".onion"
INTAKE, KEY = (Opener.of(bytes([n]) * 32) for n in (1, 2))
TO = Destination(PRODUCT, "stable", RELEASE, KEY.public, SERVER)
TRIAGE = Recipient(PRODUCT, "stable", {SERVER}, {RELEASE: KEY})
FAULT = Fault.bounded(
    ["FileNotFoundError[ENOENT]", "examplemail.errors.StoreError"],
    [f"examplemail.package{n}.module{n}:Class{n}.function{n}+{n}" for n in range(MAX_FRAMES)],
)
SHARES, POISONED = 40, 30


class Bench(page.Told):
    def row(
        self,
        name: str,
        bound: float,
        ours: Callable[[], object],
        bare: Callable[[], object],
        many: int = 1,
        most: float = 0,
    ) -> None:
        """``bound``: CPU seconds that one may take; ``most``: how often what libsodium takes."""
        spent = [(_cpu(bare, many), _cpu(ours, many)) for _ in range(ROUNDS)]
        alone, whole = (min(pair[at] for pair in spent) for at in (0, 1))
        ratio = sum(pair[1] for pair in spent) / sum(pair[0] for pair in spent)
        missed = bool(bound and whole >= bound) or bool(most and ratio > most)
        self.failed += [name] * missed
        due = f"{1000 * bound:g} ms" if bound else f"{most:g} times"
        told = f"{1000 * whole:.2f} | {1000 * alone:.2f} | {ratio:.2f}"
        self.say(f"| {name} | {told} | {due}{', missed' if missed else ''} |")


def _cpu(work: Callable[[], object], many: int) -> float:
    """Seconds of one."""
    begin = time.process_time()
    for _ in range(many):
        work()
    return (time.process_time() - begin) / many


def _scalar(number: int) -> bytes:
    return number.to_bytes(32, "little")


def bare_seed() -> None:
    """The client's Argon2id."""
    algorithm = sodium.crypto_pwhash_ALG_ARGON2ID13
    sodium.crypto_pwhash_alg(32, FAULT.signature, bytes(16), 3, 64 << 20, algorithm)


def bare_fit(share: Share) -> None:
    """A product with the base, and nine with points and additions."""
    point = share.commitments[-32:]
    sodium.crypto_scalarmult_ed25519_base_noclamp(_scalar(share.y))
    for _ in range(NEEDED - 1):
        product = sodium.crypto_scalarmult_ed25519_noclamp(_scalar(share.x), point)
        sodium.crypto_core_ed25519_add(product, point)


def bare_group(shares: Sequence[Share]) -> None:
    for each in shares:
        bare_fit(each)


def bare_open(body: bytes, box: bytes, last: Callable[[], object]) -> None:
    """Two sealed boxes, and what proves the inside."""
    sodium.crypto_box_seal_open(body[9:], INTAKE.public, INTAKE.secret)
    sodium.crypto_box_seal_open(box, KEY.public, KEY.secret)
    last()


def open_whole(body: bytes) -> None:
    """As triage does."""
    if sealed.key_of(body) != sealed.key_id(INTAKE.public):
        raise SystemExit("sealed to another key")
    text = sealed.opened(body, INTAKE)
    if text is None:
        raise SystemExit("not opened")
    TRIAGE.read(text)


def measured() -> Bench:
    bench = Bench()
    bench.say(f"{page.machine()}.\n")
    bench.say(
        "| what, CPU time | ms | libsodium alone, ms | CPU, libsodium alone = 1 | bound |\n"
        "|---|---|---|---|---|"
    )
    crowd(bench)
    opening(bench)
    answers(bench)
    return bench


def crowd(bench: Bench) -> None:
    dealer = Dealer.of(FAULT, PRODUCT, RELEASE)
    shares = [dealer.share(bytes([n]) * 32, bytes([n]) * 24) for n in range(SHARES)]
    poisoned = [replace(each, y=each.y % (ORDER - 1) + 1) for each in shares[NEEDED:]]
    mixed = [*poisoned, *shares[:NEEDED]]
    random.Random(1).shuffle(mixed)

    def made() -> None:
        share = Dealer.of(FAULT, PRODUCT, RELEASE).share(bytes(32), bytes(24))
        text = Outer.sealed(share.inner(), TO, bytes(32)).encode()
        sealed.seal(text, INTAKE.public, bytes(32), LARGE)

    def opened() -> None:
        if recover(mixed, PRODUCT, RELEASE) != FAULT:
            raise SystemExit("not recovered")

    bench.row("a crowd report made and sealed", 0.5, made, bare_seed)
    one = shares[0]
    bench.row("a share verified", 0.005, one.fits, lambda: bare_fit(one), 20)
    told = f"{NEEDED} recovered among {SHARES}, {POISONED} of them poisoned"
    bench.row(told, 0.05, opened, lambda: bare_group(mixed))


def opening(bench: Bench) -> None:
    identity = Identity.of(bytes(32), bytes(24))
    share = Dealer.of(FAULT, PRODUCT, RELEASE).share(bytes(32), bytes(24))
    public, secret = sodium.crypto_sign_seed_keypair(bytes(32))
    signed = sodium.crypto_sign(bytes(300), secret)
    verify = {
        "direct": lambda: sodium.crypto_sign_open(signed, public),
        "crowd": lambda: bare_fit(share),
    }
    insides = {"direct": identity.report(Content(FAULT, "linux"), TO), "crowd": share.inner()}
    for kind, inner in insides.items():
        outer = Outer.sealed(inner, TO, bytes(32))
        body = sealed.seal(outer.encode(), INTAKE.public, bytes(32), LARGE)
        ours, bare = partial(open_whole, body), partial(bare_open, body, outer.box, verify[kind])
        bench.row(f"a {kind} report opened and verified", 0, ours, bare, 100, 2)


def answers(bench: Bench) -> None:
    """Ten thousand reports, fifty answers, and a rule for each."""
    answers = tuple(
        Answer("resolved", n + 1, "A summary of one line." * 2, "h" * 250, "f" * 250, "0.5.3")
        for n in range(50)
    )
    prefixes = {
        hashlib.sha256(n.to_bytes(4, "big")).digest()[:8]: n % 50 for n in range(MAX_PREFIXES)
    }
    faults = tuple(
        Known(Rule.parse(f"examplemail.module{n}:f and not (E or F)"), n, "<0.5.3")
        for n in range(50)
    )
    times = (1795219200, 1795219200, 1799107200)
    payload = Status(PRODUCT, "stable", 1, *times, answers, prefixes, faults).encode()
    signatures = (Signature("0" * 16, bytes(64)), Signature("1" * 16, bytes(64)))
    document = envelope.encode(Envelope(STATUS_TYPE, payload, signatures))
    guids = [Identity.of(bytes(32), bytes([n]) * 24).guid for n in range(10)]

    def matched() -> None:
        read = envelope.decode(document, MAX_DOCUMENT, MAX_STATUS)
        status = Status.decode(read.payload)
        for guid in guids:
            status.answer(guid)
            status.known(FAULT, RELEASE)

    public, secret = sodium.crypto_sign_seed_keypair(bytes(32))
    signed = sodium.crypto_sign(payload, secret)
    told = f"the answers to {MAX_PREFIXES:,} reports read, ten looked up and ten faults matched"
    bench.row(told, 0.05, matched, lambda: sodium.crypto_sign_open(signed, public))
    bench.say(f"\nThat document has {len(document):,} bytes, of at most {MAX_DOCUMENT:,}.")


def main(arguments: Sequence[str] = ()) -> int:
    """Returns 1 where a bound was missed."""
    return page.main("crash", "error reports", measured, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
