"""Tracebacks of Python as text: in a log, a terminal, a report of somebody's. Pure; never raises.

What stands where is told by columns, so that a log's own words before each line, the marks of a
quotation and those of groups of exceptions are passed over.
"""

from __future__ import annotations

import builtins
import errno
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from mars.faults.own import MAIN, MODULE, At, Own
from mars.faults.walk import MAX_NESTED, OWN_NUMBERS, Told, folded, told
from mars.wire.reports.fault import OTHER, Fault

MAX_TEXT = 2_000_000
"""Characters from the end of a text that are read."""
MAX_LINE = 2_000
"""Characters from the beginning of a line that are."""
MAX_FAULTS = 100
MAX_FRAMES = 100_000
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_HEADER = re.compile(
    r"(?:Exception Group )?Traceback \(most recent call (?:last|(?P<first>first))\)"
    r"|(?:Current thread|Thread) 0x[0-9a-f]+[^()]*\(most recent call (?P<dump>first)\)"
)
"""Those that have the innermost frame first are ``faulthandler``'s and gdb's."""
_FRAME = re.compile(r'File "(?P<path>.*?)", line \d+,? in (?P<name>.+)')
_NAME = re.compile(r"(?:\w+|<\w+>)(?:\.(?:\w+|<\w+>))*")
_TYPE = re.compile(r"(?P<type>[^\W\d]\w*(?:\.(?:[^\W\d]\w*|<locals>))*)(?::(?P<said>.*)|\s*$)")
_COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>")
"""Called in the frame before, which they are a part of since Python 3.12."""
_INSTALLED = ("site-packages", "dist-packages")
_ERRNO = re.compile(r" \[Errno (\d{1,5})\]")
_CHAINED = re.compile(
    "The above exception was the direct cause of the following exception"
    "|During handling of the above exception, another exception occurred"
)
_MEMBER = re.compile(r"\+-{4,} (?:\d+|\.\.\.) -{4,}")
_INDENT = 2
"""Columns from an exception to its frames."""
_ALIASES = {
    "asyncio.exceptions.TimeoutError": "TimeoutError",
    "concurrent.futures._base.TimeoutError": "TimeoutError",
    "socket.timeout": "TimeoutError",
}
"""What Python up to 3.9 or 3.10 called by names of its own."""


class _Frame(NamedTuple):
    name: str
    at: At | None


@dataclass
class _Traceback:
    column: int
    """Of the header and of the exception, -1 until it is known."""
    reverse: bool = False
    frames: list[_Frame] = field(default_factory=list)
    type: str = ""
    """Empty until it was read."""
    older: _Traceback | None = None
    """What caused it, or was being handled."""
    members: list[_Traceback] = field(default_factory=list)
    depth: int = 0
    """How many groups it lies in."""

    @property
    def is_new(self) -> bool:
        """Whether nothing of it was read."""
        return not (self.frames or self.type)


def faults(text: str, own: Own) -> tuple[Fault, ...]:
    """The faults that a text tells of, at most ``MAX_FAULTS`` different ones, in its order.

    Frames are ``module:name`` of the application's own, by the path of the file; without one there
    is no fault. Where the end is missing the type is ``<other>``.
    """
    reader = _Reader(own)
    for line in _COLOUR.sub("", text[-MAX_TEXT:]).split("\n"):
        reader.read(line[:MAX_LINE].rstrip())
    found = [Fault.bounded(*_told(root, _roots(root))) for root in reader.roots]
    different = {fault.signature: fault for fault in found if fault.names}
    return tuple(different.values())[:MAX_FAULTS]


class _Reader:
    def __init__(self, own: Own) -> None:
        self.roots: list[_Traceback] = []
        self._own = own
        self._open: list[_Traceback] = []
        """The last traceback, after those in whose groups it lies."""
        self._chained = self._member = self._is_code = False
        self._left = MAX_FRAMES

    def read(self, line: str) -> None:
        header, frame = _HEADER.search(line), _FRAME.search(line)
        if frame is not None:
            self._frame(frame)
        elif header is not None:
            self._begin(header.start(), reverse=bool(header["first"] or header["dump"]))
        elif _CHAINED.search(line):
            self._chained = True
        elif self._open and (member := _MEMBER.search(line)) is not None:
            self._member = True
            self._begin(member.start() + _INDENT)
        elif self._is_code:
            self._is_code = False
        elif self._open and not self._open[-1].type:
            self._exception(line)

    def _frame(self, frame: re.Match[str]) -> None:
        column = max(frame.start() - _INDENT, 0)
        if not self._open or self._open[-1].type:
            self._begin(column)  # its header is missing
        last = self._open[-1]
        last.column = column
        self._is_code = frame.start() < _INDENT  # where the code below is not indented either
        if self._left:
            self._left -= 1
            name = frame["name"].strip()
            if name not in _COMPREHENSIONS:
                last.frames.append(_Frame(name, self._own.at(frame["path"])))

    def _begin(self, column: int, *, reverse: bool = False) -> None:
        if self._open and self._open[-1].is_new and self._open[-1].column == column:
            self._open[-1].reverse = reverse  # the header of a member, which may have none
            return
        new = _Traceback(column, reverse)
        closed: _Traceback | None = None
        while self._open and self._open[-1].column > column:
            closed = self._open.pop()
        over = self._open[-1] if self._open else None
        if self._chained and (over is None or over.column == column or len(self._open) == 1):
            new.older = self._open.pop() if over is not None else closed
            self._put(new, instead=new.older)
        elif self._member and over is not None and over.depth < MAX_NESTED:
            if over.column == column:
                self._open.pop()
            self._put(new)
        else:
            self._open.clear()
            self._put(new)
        self._chained = self._member = self._is_code = False

    def _put(self, new: _Traceback, instead: _Traceback | None = None) -> None:
        among = self._open[-1].members if self._open else self.roots
        if instead is not None and instead in among[-1:]:
            among.pop()
        new.depth = len(self._open)
        among.append(new)
        self._open.append(new)

    def _exception(self, line: str) -> None:
        last = self._open[-1]
        found = _TYPE.match(line, last.column)
        if found is not None:
            last.type = _named(found["type"], found["said"] or "", self._own)


def _told(traceback: _Traceback, roots: dict[str, str]) -> Told:
    return told(
        (
            each.type or OTHER,
            folded(
                [_called(frame, roots) for frame in _ordered(each)],
                recursion=each.type == "RecursionError",
            ),
            [_told(it, roots) for it in each.members if not it.is_new],
        )
        for each in _chain(traceback)
    )


def _called(frame: _Frame, roots: dict[str, str]) -> str:
    name, at = frame
    if at is None or at.root not in ("", roots.get(at.entry)) or not _NAME.fullmatch(name):
        return OTHER
    is_top = name == MODULE and at.module.endswith(f".{MAIN}")
    return OTHER if is_top else f"{at.module}:{name}"


def _roots(traceback: _Traceback) -> dict[str, str]:
    """Where each of the application's modules lies: among installed packages, or else in the folder
    of its outermost frame. In another folder of that name its user may have scripts."""
    found = [at for at in _places(traceback) if at.root]
    found.reverse()
    return {at.entry: at.root for at in sorted(found, key=_rank)}


def _rank(at: At) -> tuple[bool, bool]:
    return at.root.rpartition("/")[2] in _INSTALLED, at.is_folder


def _places(traceback: _Traceback) -> Iterator[At]:
    """Of the newest exception first, of each the outermost first, then of its members."""
    for each in _chain(traceback):
        yield from (frame.at for frame in _ordered(each) if frame.at is not None)
        for member in each.members:
            yield from _places(member)


def _ordered(traceback: _Traceback) -> list[_Frame]:
    """The outermost first."""
    return traceback.frames[::-1] if traceback.reverse else traceback.frames


def _chain(traceback: _Traceback | None) -> Iterator[_Traceback]:
    while traceback is not None:
        yield traceback
        traceback = traceback.older


def _named(printed: str, said: str, own: Own) -> str:
    """A type as it is told of an exception itself, by what is printed of it."""
    name = _ALIASES.get(printed, printed)
    built_in = getattr(builtins, name, None)
    if isinstance(built_in, type) and issubclass(built_in, BaseException):
        name = built_in.__name__
    elif "." not in name or "<locals>" in name or not _may_name(name, own):
        return OTHER
    number = _ERRNO.match(said)
    known = errno.errorcode.get(int(number[1])) if number and name not in OWN_NUMBERS else None
    return f"{name}[{known}]" if known else name


def _may_name(name: str, own: Own) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names or own.entry(name) is not None
