"""Faults: bounded whatever they are made of, one text each, equal where they are the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.errors import WireError
from mars.wire import strictjson
from mars.wire.reports.crowd import ENCRYPTED, NONCE_BYTES, ORDER, Share
from mars.wire.reports.direct import MAX_MESSAGE, Content
from mars.wire.reports.fault import MAX_BODY, MAX_FRAMES, MAX_NAME, MAX_TYPES, OTHER, Fault
from mars.wire.reports.outer import Destination
from mars.wire.sealed import LARGE, seal
from tests.mars.wire.reports.kit import IDENTITY, KEY, SEED, sealed

LETTERS = {
    "ASCII": "x",
    "two bytes": "é",
    "three bytes": "語",
    "four bytes": "𝕏",
    "half of a surrogate pair": "\ud800",
    "quotation mark": '"',
    "backslash": "\\",
    "control": "\x00",
    "full stop": ".",
    "colon": ":",
}
LONG = 10_000


def lengths(fault: Fault) -> list[int]:
    """Bytes of each name in JSON."""
    return [len(strictjson.write(each)) - 2 for each in (*fault.types, *fault.frames)]


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_j14_fifty_frames_with_the_longest_names_fit(letter: str) -> None:
    """In a crowd report and in a direct one, beside the longest message, product and server."""
    name = letter * LONG
    frames = [f"{name}{n}:{name}.{name}+{n}" for n in range(1000, 1060)]
    fault = Fault.bounded([f"{n}{name}[EACCES]" for n in range(20)], frames)
    assert (len(fault.types), len(fault.frames)) == (MAX_TYPES, MAX_FRAMES)
    assert fault.frames[-1].endswith("+1059")
    assert MAX_NAME - 8 < max(lengths(fault)) <= MAX_NAME
    assert len(fault.body) <= MAX_BODY
    assert Fault.decode(fault.body) == fault
    to = Destination("p" * 40, "c" * 40, "9999.9999.9999", KEY.public, "s" * 100)
    share = Share(ORDER - 1, 1, bytes(320), bytes(NONCE_BYTES), bytes(ENCRYPTED))
    content = Content(fault, "windows", "é" * (MAX_MESSAGE // 2))
    for inner in (share.inner(), IDENTITY.report(content, to)):
        assert len(seal(sealed(inner, to), KEY.public, SEED, LARGE)) == LARGE


def test_j14_a_deep_traceback_keeps_its_innermost_frames() -> None:
    frames = ["app:main+1", *["app:f+2"] * LONG, "app:g+3"]
    fault = Fault.bounded(["RecursionError"], frames)
    assert fault.frames == (*["app:f+2"] * 49, "app:g+3")
    assert fault.names == ("app:f", "app:g")


@given(st.lists(st.text(max_size=200), max_size=20), st.lists(st.text(max_size=200), max_size=80))
def test_j14_whatever_the_names_are_a_fault_can_be_written_and_read(
    types: list[str], frames: list[str]
) -> None:
    fault = Fault.bounded(types, frames)
    assert Fault.decode(fault.body) == fault
    assert 1 <= len(fault.types) <= MAX_TYPES and len(fault.frames) <= MAX_FRAMES
    assert max(lengths(fault)) <= MAX_NAME
    assert Fault.bounded(fault.types, fault.frames) == fault
    assert all(name in fault.words for name in fault.names)
    assert len(fault.signature) <= MAX_BODY + MAX_FRAMES * len(":<module>")


@given(st.text(st.characters(), min_size=1, max_size=400))
def test_names_that_differ_stay_different_when_they_are_cut(name: str) -> None:
    one, two = (Fault.bounded([f"{first}{name}{'x' * 150}"], []) for first in "ab")
    assert one != two and one.types[0][9:] == two.types[0][9:]


def test_a_name_that_is_cut_keeps_its_end_and_is_the_same_on_each_line() -> None:
    """Where the cut takes the module, the hash stands for it."""
    name = "m" * 100 + ":" + "C" * 200 + ".load"
    faults = [Fault.bounded(["E"], [f"{name}+{n}"]) for n in (7, 1234567)]
    assert [len(each.frames[0]) for each in faults] == [144, 150]
    assert [each.frames[0][-8:] for each in faults] == ["C.load+7", "+1234567"]
    mark = faults[0].frames[0][:9]
    assert mark[0] == "~" and faults[0].names == faults[1].names == (f"{mark}:load",)
    kept = Fault.bounded(["E"], ["m" * 150 + ":C.load+7"]).names
    assert len(kept[0]) < 150 and kept[0].endswith("mmm:load") and kept[0] != f"{mark}:load"


def test_what_is_not_the_applications_is_one_frame_and_names_nothing() -> None:
    frames = [OTHER, OTHER, "app:f+1", "no name", OTHER, OTHER, "app:f+1"]
    fault = Fault.bounded(["E"], frames)
    assert fault.frames == (OTHER, "app:f+1", OTHER, "app:f+1")
    assert fault.names == ("app:f",)
    assert Fault.bounded([], []) == Fault((OTHER,), ())


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        ("app.store:load+3", "app.store:load"),
        ("app.store:load", "app.store:load"),
        ("app.store:Store.load+3", "app.store:load"),
        ("app:f.<locals>.g+1", "app:g"),
        ("app:f.<locals>.<lambda>+0", "app:<lambda>"),
        ("app:<module>+9", "app:<module>"),
        ("app:f.<locals>.<listcomp>+1", "app:f"),
        ("app:C.f.<locals>.<dictcomp>.<setcomp>+1", "app:f"),
        ("app:<listcomp>+1", "app:<module>"),
        ("app:f.<locals>.<genexpr>+1", "app:<genexpr>"),
        ("app:größe+2", "app:größe"),
        ("__main__:main+2", "__main__:main"),
    ],
)
def test_the_signature_has_module_and_last_part_of_the_name(frame: str, name: str) -> None:
    assert Fault.bounded(["E"], [frame]).names == (name,)


def test_comprehensions_and_lines_make_no_other_fault() -> None:
    """List, dict and set comprehensions have a frame up to Python 3.11."""
    old = Fault.bounded(["E"], ["a:f+1", "a:f.<locals>.<listcomp>+1", "a:g+5"])
    new = Fault.bounded(["E"], [OTHER, "a:f+1", "a:g+6", OTHER])
    assert old.signature == new.signature and old.digest == new.digest
    assert old.body != new.body


@pytest.mark.parametrize(
    "other",
    [
        Fault(("E", "F"), ("a:f+1",)),
        Fault(("F",), ("a:f+1",)),
        Fault(("E",), ("a:g+1",)),
        Fault(("E",), ("b:f+1",)),
        Fault(("E",), ("a:f+1", "a:g+1")),
        Fault(("E",), ()),
    ],
)
def test_other_types_and_names_are_another_fault(other: Fault) -> None:
    assert other.digest != Fault(("E",), ("a:f+1",)).digest


def test_words_are_names_types_and_the_digest() -> None:
    fault = Fault.bounded(["FileNotFoundError[ENOENT]", "app.errors:Own"], ["app:C.f+1", OTHER])
    found = {"FileNotFoundError[ENOENT]", "FileNotFoundError", "app.errors:Own", "app:f"}
    assert fault.words == found | {f"#{fault.digest}"}


BODY = Fault(("E",), ("a:f+1", OTHER)).body


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not-json"),
        (b"[]", "bad-payload"),
        (b'{"types":["E"],"frames":[]} ', "bad-payload"),
        (b'{"frames":[],"types":["E"]}', "bad-payload"),
        (b'{"types":["\\u0045"],"frames":[]}', "bad-payload"),
        (b'{"types":["E"]}', "bad-payload"),
        (b'{"frames":[]}', "bad-payload"),
        (b'{"types":[],"frames":[]}', "bad-payload"),
        (b'{"types":[""],"frames":[]}', "bad-payload"),
        (b'{"types":["E E"],"frames":[]}', "bad-payload"),
        (b'{"types":"E","frames":[]}', "bad-payload"),
        (b'{"types":["E"],"frames":["f+1"]}', "bad-payload"),
        (b'{"types":["E"],"frames":["a:"]}', "bad-payload"),
        (b'{"types":["E"],"frames":["a:\xe2\x80\xaef"]}', "bad-payload"),
        (b'{"types":["E"],"frames":["a:\\ud800"]}', "bad-text"),
        (b'{"types":["E"],"frames":[],"message":"x"}', "extra-member"),
        (b'{"types":["E"],"types":["E"],"frames":[]}', "duplicate-member"),
        (json.dumps({"types": ["E"] * 11, "frames": []}).encode(), "bad-payload"),
        (json.dumps({"types": ["E"], "frames": ["a:f"] * 51}).encode(), "bad-payload"),
        (json.dumps({"types": ["x" * 151], "frames": []}).encode(), "bad-payload"),
        ('{"types":["%s"],"frames":[]}'.replace("%s", "é" * 76).encode(), "bad-payload"),
        (b" " * (MAX_BODY + 1), "too-large"),
    ],
)
def test_a_body_has_one_text(body: bytes, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        Fault.decode(body)
    assert caught.value.reason == reason


@given(st.integers(0, 8 * len(BODY) - 1))
def test_a_changed_bit_is_another_fault_or_none(bit: int) -> None:
    body = bytearray(BODY)
    body[bit // 8] ^= 1 << bit % 8
    try:
        found = Fault.decode(bytes(body))
    except WireError:
        return
    assert found.body == body != BODY
