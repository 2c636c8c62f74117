"""Coverage-guided fuzzing of what somebody may send as an error report, by atheris (libFuzzer).

Takes libFuzzer's options, such as ``-max_total_time=60``; ``make fuzz`` runs it. The first octet
chooses the reader. Insides are sealed here, so that the fuzzer gets past the boxes.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mars.wire"]):
    from mars.errors import WireError
    from mars.wire.reports.crowd import Share
    from mars.wire.reports.direct import Content, Deletion, prefix_of
    from mars.wire.reports.fault import MAX_BODY, Fault
    from mars.wire.reports.outer import INNER, Destination, Outer, joined
    from mars.wire.reports.recipient import Recipient
    from mars.wire.reports.rules import Rule
    from mars.wire.reports.status import Status
    from mars.wire.sealed import Opener

VECTORS = Path(__file__).parents[1] / "vectors" / "reports"
KEY = Opener.of(b"\x01" * 32)
SERVER = "a" * 56 + ".onion"
TO = Destination("examplemail", "stable", "0.5.2", KEY.public, SERVER)
TRIAGE = Recipient("examplemail", "stable", {SERVER}, {"0.5.2": KEY})


def outsides(data: bytes) -> None:
    with contextlib.suppress(WireError):
        outer = Outer.decode(data)
        assert Outer.decode(outer.encode()) == outer
    with contextlib.suppress(WireError):
        TRIAGE.read(data)


def insides(data: bytes) -> None:
    """Nothing is read that nobody signed, and no share that does not fit."""
    inner = (data[: INNER - 1] + b"\x80").ljust(INNER, b"\0")
    with contextlib.suppress(WireError):
        _, found = TRIAGE.read(Outer.sealed(inner, TO, bytes(32)).encode())
        if isinstance(found, Share):
            assert found.fits()
            joined({}, found.encrypted)
        else:
            assert prefix_of(found.guid)
            assert isinstance(found, Deletion) or found.content.encode()


def bodies(data: bytes) -> None:
    with contextlib.suppress(WireError):
        fault = Fault.decode(data)
        assert fault.body == data
        assert Fault.bounded(fault.types, fault.frames).types == fault.types


def contents(data: bytes) -> None:
    with contextlib.suppress(WireError):
        content = Content.decode(data)
        assert len(content.fault.body) <= MAX_BODY
        assert Content.decode(content.encode()) == content


def names(data: bytes) -> None:
    """Whatever names there are."""
    text = data.decode("utf-8", "surrogatepass" if data[:1] == b"x" else "surrogateescape")
    fault = Fault.bounded(text.split("\n", 12), text.splitlines())
    assert Fault.decode(fault.body) == fault
    assert fault.digest and fault.words


def rules(data: bytes) -> None:
    with contextlib.suppress(WireError):
        rule = Rule.parse(data.decode("utf-8", "replace"))
        assert rule.words and rule.claims(rule.words) in (True, False)


def statuses(data: bytes) -> None:
    with contextlib.suppress(WireError):
        status = Status.decode(data)
        assert Status.decode(status.encode()) == status
        status.known(Fault(("KeyError",), ("a:f",)), "0.5.2")
        assert status.answer("a" * 32) in (None, *status.answers)


READERS: tuple[Callable[[bytes], None], ...] = (
    outsides,
    insides,
    bodies,
    contents,
    names,
    rules,
    statuses,
)


def one(data: bytes) -> None:
    if data:
        with contextlib.suppress(UnicodeDecodeError):
            READERS[data[0] % len(READERS)](data[1:])


def seeds() -> Iterator[bytes]:
    """The vectors, to the readers that they are meant for."""
    for case in json.loads((VECTORS / "insides.json").read_bytes()):
        yield bytes([READERS.index(insides)]) + json.dumps(case["head"]).encode() + b"\n"
    for case in json.loads((VECTORS / "bodies.json").read_bytes()):
        yield bytes([READERS.index(bodies)]) + case["text"].encode()
    for case in json.loads((VECTORS / "faults.json").read_bytes()):
        yield bytes([READERS.index(names)]) + "\n".join(case["frames"]).encode()
    for case in json.loads((VECTORS / "rules.json").read_bytes()):
        yield bytes([READERS.index(rules)]) + case["rule"].encode()
    whole = json.loads((VECTORS / "sealed.json").read_bytes())
    yield bytes([READERS.index(outsides)]) + whole["text"].encode()
    yield bytes([READERS.index(contents)]) + whole["content"].encode()
    status = json.loads((VECTORS / "status.json").read_bytes())["payload"]
    yield bytes([READERS.index(statuses)]) + status.encode()


def plant(corpus: Path) -> None:
    """Adds the seeds to what the folder has."""
    if corpus.is_dir():
        for n, seed in enumerate(seeds()):
            (corpus / f"seed-{n:05}").write_bytes(seed)


if __name__ == "__main__":
    plant(Path(sys.argv[-1]))
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
