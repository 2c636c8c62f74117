"""What is told of a fault, types and frames, bounded; and what of it says which fault it is. Pure.

Two installations meet the same fault where its *signature* is the same: the types, and of each
frame of the application the module and the last part of the name. Groups, crowds and rules look at
nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import groupby
from typing import Any

from mars.wire import members as m
from mars.wire import strictjson

OTHER = "<other>"
"""Frames that are not the application's, and a type that nobody knows."""
MAX_TYPES = 10
MAX_FRAMES = 50
MAX_NAME = 150
"""Bytes of a type or a frame in UTF-8; JSON escapes nothing in it."""
MAX_BODY = 32 + (MAX_NAME + 3) * (MAX_TYPES + MAX_FRAMES)
"""Bytes."""
_MEMBERS = ("types", "frames")
_UNFIT = (
    r"\x00-*,/;=?@\\^`{-}\x7f-\xa0"
    r"\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff"
)
"""What is in no name of Python's: of ASCII all but letters, digits and ``_ . : < > [ ] + - ~``, so
that no path, address or quotation passes for one; white space, controls, what turns the direction
of writing, halves of surrogate pairs."""
_REPLACED = re.compile(f"[{_UNFIT}]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_TYPE = re.compile(f"[^{_UNFIT}]+")
_MARK = "~[0-9a-f]{8}"
_FRAME = re.compile(f"[^:{_UNFIT}]*:[^{_UNFIT}]+|{OTHER}|{_MARK}[^{_UNFIT}]+")
_MARK_LENGTH = 9
_LINE = re.compile(r"\+[0-9]{1,7}\Z", re.ASCII)
_LONGEST_LINE = 8
"""Bytes kept free for it, so that a name is cut at one place whatever the line."""
_ERRNO = re.compile(r"\[[A-Z0-9]+\]\Z", re.ASCII)
_COMPREHENSION = re.compile(r"(?:(?:\.<locals>)?\.?<(?:list|dict|set)comp>)+\Z")
"""They have frames of their own up to Python 3.11 alone (PEP 709)."""


@dataclass(frozen=True)
class Fault:
    """Made by ``bounded`` or ``decode``."""

    types: tuple[str, ...]
    """Of the exception, then of what caused it: ``ValueError``, ``FileNotFoundError[ENOENT]``,
    ``package.module.Name``, ``<other>``; 1 to ``MAX_TYPES``."""
    frames: tuple[str, ...] = ()
    """``module:qualname+N``, N the line counted from that of the function, or ``<other>``;
    innermost last, at most ``MAX_FRAMES``."""

    @classmethod
    def bounded(cls, types: Sequence[str], frames: Iterable[str]) -> Fault:
        """Of names as they come, of any number, length and content; never raises.

        The innermost frames stay. Of a name that is too long the end stays, after ``~`` and 8 hex
        digits of the BLAKE2b of the whole without its line.
        """
        runs = groupby(map(_frame, frames))
        kept = [each for name, run in runs for each in ((name,) if name == OTHER else run)]
        return cls(
            tuple(map(_type, types[:MAX_TYPES])) or (OTHER,),
            tuple(kept[-MAX_FRAMES:]),
        )

    @classmethod
    def decode(cls, body: bytes) -> Fault:
        """The fault that a body says. Raises ``WireError`` as ``strictjson.parse``,
        ``extra-member``, ``bad-payload`` (also for what ``body`` would have written otherwise)."""
        members = m.table(strictjson.parse(body, MAX_BODY), "a body")
        m.only(members, _MEMBERS, "A body")
        found = cls.read(members)
        if found.body != body:
            raise m.bad("it is not written as we write it")
        return found

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> Fault:
        """From the members ``types`` and ``frames``. Raises ``WireError`` (``bad-payload``)."""
        types = _names(members, "types", MAX_TYPES, _is_type)
        if not types:
            raise m.bad("types names none")
        return cls(types, _names(members, "frames", MAX_FRAMES, _is_frame))

    @property
    def members(self) -> dict[str, list[str]]:
        """As they are written in JSON."""
        return {"types": list(self.types), "frames": list(self.frames)}

    @property
    def body(self) -> bytes:
        """Strict JSON, one text for each fault."""
        return strictjson.write(self.members)

    @property
    def names(self) -> tuple[str, ...]:
        """The application's own frames as ``module:name``, equal ones that follow each other once.
        What is not the application's is not named, since it differs by versions and packaging."""
        own = (_name(each) for each in self.frames if each != OTHER)
        return tuple(name for name, _ in groupby(own))

    @property
    def signature(self) -> bytes:
        """Which fault it is: JSON of types and names."""
        return strictjson.write({"types": list(self.types), "names": list(self.names)})

    @cached_property
    def digest(self) -> str:
        """Of the signature: its BLAKE2b-128, hex."""
        return blake2b(self.signature, digest_size=16).hexdigest()

    @property
    def words(self) -> frozenset[str]:
        """By which rules know it: each name, each type with and without its error number, and
        ``#`` with the digest."""
        bare = (_ERRNO.sub("", each) for each in self.types)
        return frozenset((*self.names, *self.types, *bare, f"#{self.digest}"))


def _type(name: str) -> str:
    return _short(_REPLACED.sub(_REPLACEMENT, name), MAX_NAME) or OTHER


def _frame(name: str) -> str:
    """What is no ``module:name`` is ``<other>``."""
    clean = _REPLACED.sub(_REPLACEMENT, name)
    line = _LINE.search(clean)
    number = line[0] if line else ""
    short = _short(clean.removesuffix(number), MAX_NAME - _LONGEST_LINE) + number
    return short if _FRAME.fullmatch(short) else OTHER


def _short(name: str, room: int) -> str:
    """As much of the end of ``name`` as ``room`` bytes hold."""
    written = name.encode()
    if len(written) <= room:
        return name
    mark = f"~{blake2b(written, digest_size=4).hexdigest()}"
    return mark + written[len(mark) - room :].decode(errors="ignore")


def _name(frame: str) -> str:
    """``module:name`` of a frame; of one whose module was cut off, the hash stands for it."""
    whole = _LINE.sub("", frame)
    module, colon, qualname = whole.partition(":")
    if not colon:
        module, qualname = whole[:_MARK_LENGTH], whole[_MARK_LENGTH:]
    last = _COMPREHENSION.sub("", qualname).rpartition(".")[2]
    return f"{module}:{last or '<module>'}"


def _names(
    members: Mapping[str, Any], name: str, most: int, fits: Callable[[str], bool]
) -> tuple[str, ...]:
    found = m.texts(members, name, most, MAX_NAME)
    if found is None or not all(map(fits, found)):
        raise m.bad(f"{name} must be a list of at most {most} names of {MAX_NAME} bytes")
    return found


def _is_type(name: str) -> bool:
    return _TYPE.fullmatch(name) is not None and len(name.encode()) <= MAX_NAME


@lru_cache(maxsize=4096)
def _is_frame(name: str) -> bool:
    """Remembered, since the reports of a release name the same frames."""
    return _FRAME.fullmatch(name) is not None and len(name.encode()) <= MAX_NAME
