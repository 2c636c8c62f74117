"""Coverage-guided fuzzing of everything that reads a signed document, by atheris (libFuzzer).

``python tests/fuzz/fuzz_trust.py --seconds 60``; exits 0 when nothing was found. A finding is a
file in the folder ``--findings``; run it again with ``python tests/fuzz/fuzz_trust.py FILE``.
With libFuzzer's own options (``-max_total_time=60 … CORPUS``) it is a plain libFuzzer program.

The first octet of an input chooses the reader. Payloads and keys documents are signed here with a
fixed key before they are judged, so that the fuzzer gets past the signatures.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mars.wire", "mars.trust"]):
    from mars.errors import StateError, TrustError, WireError
    from mars.testing.memory import MemoryOpenPGP
    from mars.testing.publisher import EXAMPLE_NOW, Publisher
    from mars.trust import TrustState, accept, verify, verify_chain
    from mars.wire import envelope, keyfile, strictjson
    from mars.wire import motd as motds
    from mars.wire import report as reported
    from mars.wire.catalogue import Catalogue
    from mars.wire.envelope import KEYS_TYPE, MAX_PAYLOAD, RELEASE_TYPE, STEERING_TYPE, pae
    from mars.wire.keys import KeysDocument, TrustRoot
    from mars.wire.links import within
    from mars.wire.openpgp import dearmour, public_keys, signing_keys
    from mars.wire.release import Release
    from mars.wire.steering import Steering
    from mars.wire.targeting import select, update_status

VECTORS = Path(__file__).parents[1] / "vectors"
MAX_LENGTH = 4096
"""Bytes of an input; the size limits themselves are tried by ordinary tests."""
MEMORY_MB = 1024
GRACE = 120
"""Seconds for start, corpus and a last slow input, beyond those that were asked for."""

PUBLISHER = Publisher(seeds=[b"f" * 32])
ROOT = PUBLISHER.trust()
NEW = TrustState.initial()
ARMOUR = [f"-----{word} PGP PUBLIC KEY BLOCK-----" for word in ("BEGIN", "END")]


def raw(data: bytes) -> None:
    """Bytes as a server would send them: nothing unsigned is ever accepted."""
    try:
        accept(data, {}, EXAMPLE_NOW, ROOT, NEW)
    except (WireError, TrustError):
        return
    raise AssertionError("an unsigned document was accepted")


def signed(data: bytes) -> None:
    """A payload that the right key has signed."""
    document = envelope.encode(PUBLISHER.envelope(data[:MAX_PAYLOAD]))
    try:
        accepted = verify(document, ROOT, NEW, EXAMPLE_NOW, MemoryOpenPGP())
    except (WireError, TrustError):
        return
    motd = accepted.motd
    assert EXAMPLE_NOW < motd.expires <= motd.issued + 60 * 86_400
    assert motd.serial <= motd.issued <= EXAMPLE_NOW + 86_400
    if not any(item.target and item.target.unknown for item in motd.messages):
        assert motds.decode(motds.encode(motd)) == motd
    assert TrustState.decode(accepted.state.encode()) == accepted.state
    update_status(motd, "1.0", "linux", ["is_IS"], EXAMPLE_NOW)
    for shown in select(motd, "1.0", "linux", ["is_IS"], EXAMPLE_NOW):
        assert not set(shown.title) & set("\n\x1b\u202e")
        assert shown.url.isascii()


def by(role: str, payload: bytes, kind: str) -> envelope.Envelope:
    """``payload`` signed by ``role``."""
    payload = payload[:MAX_PAYLOAD]
    return envelope.Envelope(
        kind, payload, PUBLISHER.signatures(pae(kind, payload), EXAMPLE_NOW, role)
    )


def chain(data: bytes) -> None:
    """A keys document that root has signed, in front of a document that holds; and as a file."""
    step = by("root", data, KEYS_TYPE)
    inner = PUBLISHER.envelope(motds.encode(PUBLISHER.motd()))
    both = replace(inner, x_keys=(step,))
    with contextlib.suppress(WireError, TrustError):
        verify(envelope.encode(both), ROOT, NEW, EXAMPLE_NOW, MemoryOpenPGP())
    file = envelope.encode_chain([step])
    with contextlib.suppress(WireError, TrustError):
        state = verify_chain(file, ROOT, NEW, EXAMPLE_NOW, MemoryOpenPGP())
        assert TrustState.decode(state.encode()) == state


def chain_file(data: bytes) -> None:
    """A file of steps as a server would send it."""
    with contextlib.suppress(WireError):
        steps = envelope.decode_chain(data)
        assert envelope.decode_chain(envelope.encode_chain(steps)) == steps


def riders(data: bytes) -> None:
    """Steering and release documents that their roles have signed never cost the news."""
    inner = PUBLISHER.envelope(motds.encode(PUBLISHER.motd()))
    both = replace(
        inner,
        x_steering=by("root", data, STEERING_TYPE),
        x_release=by("release", data, RELEASE_TYPE),
    )
    accepted = verify(envelope.encode(both), ROOT, NEW, EXAMPLE_NOW, MemoryOpenPGP())
    state = accepted.state
    assert TrustState.decode(state.encode()) == state
    for rider in (state.steering, state.release):
        assert rider is None or rider.serial <= rider.issued <= EXAMPLE_NOW + 86_400
    links = state.steering.links if state.steering else ()
    for shown in select(accepted.motd, "1.0", "linux", ["en"], EXAMPLE_NOW, links):
        assert not set(shown.url) & set("?#")


def links(data: bytes) -> None:
    """A link that is offered leads to where its prefix says."""
    url = data.decode("latin-1")
    found = within(url, ["https://example.org/"])
    assert found in ("", url)
    assert not found or found.startswith("https://example.org/")


def envelopes(data: bytes) -> None:
    """What is read can be written, and is then read as the same."""
    with contextlib.suppress(WireError):
        value = envelope.decode(data)
        assert envelope.decode(envelope.encode(value)) == value


def keys(data: bytes) -> None:
    """The same of keys documents and of what is pinned."""
    for reader in (KeysDocument, TrustRoot, Steering, Release):
        with contextlib.suppress(WireError):
            value = reader.decode(data)
            assert reader.decode(value.encode()) == value


def states(data: bytes) -> None:
    """A state file from a broken disk."""
    with contextlib.suppress(StateError):
        state = TrustState.decode(data)
        assert TrustState.decode(state.encode()) == state


def numbers(data: bytes) -> None:
    """What our parser takes, the standard one takes too, and to the same value."""
    try:
        value = strictjson.parse(data, MAX_LENGTH)
    except WireError:
        return
    assert json.loads(data) == value


def blocks(data: bytes) -> None:
    """The packets of a pinned OpenPGP key."""
    text = base64.b64encode(data).decode("ascii")
    block = f"{ARMOUR[0]}\n\n{text}\n{ARMOUR[1]}\n"
    with contextlib.suppress(WireError):
        found = public_keys(block)
        assert dearmour(block) == data
        for key in signing_keys(block, EXAMPLE_NOW):
            assert key in found
            assert key.is_valid(EXAMPLE_NOW)


def registries(data: bytes) -> None:
    """What may be sent: each value that can be said is declared, and is of a bounded length."""
    with contextlib.suppress(WireError):
        catalogue = Catalogue.decode(data)
        assert Catalogue.decode(catalogue.encode()) == catalogue
        for metric in catalogue.metrics:
            assert catalogue.metric(metric.name) == metric
            assert all(metric.fits(value) for value in metric.values_known)
            assert 0 < metric.rate <= 1


def reports(data: bytes) -> None:
    """What somebody sealed to the intake."""
    with contextlib.suppress(WireError):
        report = reported.decode(data)
        assert reported.decode(report.encode()) == report


def key_files(data: bytes) -> None:
    """A file of secret keys, as far as it goes without a passphrase."""
    with contextlib.suppress(WireError):
        kind, names = keyfile.names(data)
        rest = keyfile.without(data, lambda name: name == names[0])
        assert keyfile.names(rest) == (kind, names[1:])


READERS: tuple[Callable[[bytes], None], ...] = (
    raw,
    signed,
    chain,
    chain_file,
    riders,
    links,
    envelopes,
    keys,
    states,
    numbers,
    blocks,
    registries,
    reports,
    key_files,
)


def one_input(data: bytes) -> None:
    if data:
        READERS[data[0] % len(READERS)](data[1:])


def seeds() -> list[bytes]:
    """The vectors: whole documents, payloads, what they pin and remember, the packets of keys."""
    found: list[bytes] = list(declared())
    for path in sorted(VECTORS.glob("*.json")):
        vector = json.loads(path.read_bytes())
        parts = [base64.b64decode(vector["document"]), json.dumps(vector["trust"]).encode()]
        with contextlib.suppress(WireError):
            outer = envelope.decode(parts[0])
            riders = (outer.x_steering, outer.x_release)
            parts += [outer.payload, *(step.payload for step in outer.x_keys)]
            parts += [rider.payload for rider in riders if rider is not None]
        parts += [dearmour(block) for block in vector["trust"]["openpgp"].values()]
        if vector["state"]:
            parts.append(json.dumps(vector["state"]).encode())
        found += [bytes([n]) + part for part in parts for n in range(len(READERS))]
    return [seed for seed in dict.fromkeys(found) if len(seed) <= MAX_LENGTH]


def declared() -> Iterator[bytes]:
    """The cases about declared statistics, to the readers that they are meant for."""
    folder = VECTORS / "statistics"
    for case in json.loads((folder / "registry.json").read_bytes()):
        yield bytes([READERS.index(registries)]) + case.get("document", "{}").encode()
    for case in json.loads((folder / "reports.json").read_bytes()):
        yield bytes([READERS.index(reports)]) + case["text"].encode()
    file = json.loads((folder / "keyfile.json").read_bytes())["file"]
    yield bytes([READERS.index(key_files)]) + file.encode()


def fuzz(corpus: str, findings: str, seconds: int) -> None:
    """Never returns: libFuzzer ends the process."""
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-max_len={MAX_LENGTH}",
        f"-rss_limit_mb={MEMORY_MB}",
        "-timeout=10",
        "-verbosity=0",
        "-print_final_stats=1",
        f"-artifact_prefix={findings}/",
        corpus,
    ]
    atheris.Setup(arguments, one_input)
    atheris.Fuzz()


def main() -> int:
    if any(text.startswith("-") and not text.startswith("--") for text in sys.argv[1:]):
        plant(Path(sys.argv[-1]))
        atheris.Setup(sys.argv, one_input)
        atheris.Fuzz()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--findings", default="fuzz-findings", help="folder for what is found")
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    parser.add_argument("input", nargs="?", type=Path, help="a finding to run again")
    options = parser.parse_args()
    if options.input is not None:
        one_input(options.input.read_bytes())
        return 0
    if options.corpus is not None:
        fuzz(options.corpus, options.findings, options.seconds)
    return in_a_child(options.findings, options.seconds)


def plant(corpus: Path) -> None:
    """Adds the seeds to what the folder has."""
    if corpus.is_dir():
        for n, seed in enumerate(seeds()):
            (corpus / f"seed-{n:05}").write_bytes(seed)


def in_a_child(findings: str, seconds: int) -> int:
    """libFuzzer leaves without tidying up, so that is done here."""
    Path(findings).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mars-fuzz-") as corpus:
        plant(Path(corpus))
        command = [sys.executable, __file__, "--corpus", corpus, "--findings", findings]
        command += ["--seconds", str(seconds)]
        code = subprocess.run(command, timeout=seconds + GRACE, check=False).returncode
    with contextlib.suppress(OSError):
        Path(findings).rmdir()
    found = Path(findings).exists()
    print(  # noqa: T201
        f"fuzz_trust: {'findings are in ' + findings if found else 'nothing was found'}"
    )
    return code or int(found)


if __name__ == "__main__":
    sys.exit(main())
