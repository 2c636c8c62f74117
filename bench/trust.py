"""What it costs to judge a document, beside the Ed25519 verifications that it needs anyway."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from dataclasses import dataclass

from mars.factory import openpgp
from mars.ports import OpenPGPVerdict
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.trust import Question, TrustState, UnansweredError, accept, verify
from mars.wire import ed25519, envelope
from mars.wire.envelope import Envelope, pae
from mars.wire.keys import Signing
from mars.wire.motd import Message, Target
from testbed.packets import PacketKey

LIMIT = 3.0
"""``accept`` may cost this many times the bare verifications."""
ROUNDS, REPEAT = 5, 1000
SEEDS = [bytes([n]) * 32 for n in range(1, 7)]
KEY = PacketKey(b"o" * 32)


@dataclass(frozen=True)
class Case:
    name: str
    publisher: Publisher
    pinned: Publisher
    """As the application pinned it; differs after a rotation."""


def news() -> tuple[Message, ...]:
    """Three items in three languages, two of them with a target: a busy month."""
    text = "A paragraph as a publisher would write it, of about three hundred characters. " * 4
    return tuple(
        Message(
            id=f"2026-11-{n}",
            title={"en": "A title", "is": "Titill", "de": "Ein Titel"},
            text={"en": text, "is": text.replace("a", "á"), "de": text},
            target=Target(platforms=("windows",), versions=">=0.1,<0.5") if n else None,
            url="https://example.org/news",
        )
        for n in range(3)
    )


def cases() -> list[Case]:
    small = Publisher(seeds=SEEDS[:1])
    typical = Publisher(seeds=SEEDS[:3], threshold=2, openpgp=[KEY])
    rotated = Publisher(seeds=SEEDS[:3], threshold=2, openpgp=[KEY])
    rotated.rotate(seeds=SEEDS[3:6], threshold=2)
    return [
        Case("1 of 1 key, one message", small, small),
        Case("2 of 3 keys and OpenPGP, three messages (typical)", typical, typical),
        Case("the same after a rotation", rotated, typical),
    ]


def fastest(*runs: Callable[[], object]) -> list[float]:
    """Microseconds that each takes when nothing else runs: the fastest of many short rounds.

    They run in turn, so that whatever else the machine does falls on all.
    """
    found = [float("inf")] * len(runs)
    for _ in range(REPEAT):
        for n, run in enumerate(runs):
            found[n] = min(found[n], timeit.timeit(run, number=ROUNDS) / ROUNDS * 1e6)
    return found


def bare(document: Envelope, case: Case) -> Callable[[], object]:
    """The verifications that the rules demand, and nothing else."""
    work: list[tuple[bytes, bytes, bytes]] = []
    keys = case.pinned.key_set()
    for step in document.x_keys:
        for each in (keys, case.publisher.key_set()):
            work += needed(step, each.signing("root"))
        keys = case.publisher.key_set()
    work += needed(document, keys.signing("motd"))
    return lambda: [ed25519.verify(*item) for item in work]


def needed(signed: Envelope, keys: Signing) -> list[tuple[bytes, bytes, bytes]]:
    message = pae(signed.payload_type, signed.payload)
    ours = [entry for entry in signed.signatures if entry.keyid in keys.ed25519]
    return [
        (bytes.fromhex(keys.ed25519[entry.keyid]), entry.sig, message)
        for entry in ours[: keys.threshold]
    ]


def verdicts(data: bytes, case: Case) -> dict[Question, OpenPGPVerdict]:
    """The answers of real gpg, asked once."""
    found: dict[Question, OpenPGPVerdict] = {}
    gpg, root = openpgp(), case.pinned.trust()
    while True:
        try:
            accept(data, found, EXAMPLE_NOW, root, TrustState.initial())
        except UnansweredError as need:
            ask = need.question
            found[ask] = gpg.verify(ask.signature, ask.message, ask.keys)
        else:
            return found


def main() -> int:
    worst = 0.0
    for case in cases():
        messages = case.publisher.motd().messages if "one message" in case.name else news()
        data = case.publisher.document(messages=messages)
        root, state = case.pinned.trust(), TrustState.initial()
        answers = verdicts(data, case)
        document = envelope.decode(data)

        def judge(data: bytes = data, answers: dict[Question, OpenPGPVerdict] = answers) -> object:
            return accept(data, answers, EXAMPLE_NOW, root, state)  # noqa: B023 - used at once

        alone, whole = fastest(bare(document, case), judge)
        ratio = whole / alone
        typical = "typical" in case.name
        worst = max(worst, ratio if typical else 0.0)
        print(
            f"{case.name}: {len(data)} bytes, Ed25519 alone {alone:.0f} µs, accept {whole:.0f} µs,"
            f" ratio {ratio:.2f}"
        )
        if answers:
            gpg = openpgp()
            once = min(
                timeit.repeat(
                    lambda: verify(data, root, state, EXAMPLE_NOW, gpg),  # noqa: B023
                    number=1,
                    repeat=20,
                )
            )
            print(f"  with the gpg process: {once * 1e3:.1f} ms, {len(answers)} signature(s)")
    held = worst <= LIMIT
    print(f"limit for the typical document: {LIMIT:.0f} — {'held' if held else 'NOT held'}")
    return 0 if held else 1
