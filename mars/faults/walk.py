"""From an exception to what may be told of it. It reads the exception and runs none of its code."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from types import TracebackType

from mars.faults.own import Own, raw_names
from mars.wire.reports.fault import OTHER, Fault

MAX_LOOKED = 100
"""Exceptions of one chain with all groups in it."""
MAX_NESTED = 5
"""Groups inside one another."""
MAX_DEPTH = 200_000
"""Frames of a traceback that are looked at."""
_MOST_LINES = 9_999_999
_RECURSES = 3
"""How often a frame stands in a traceback, at least, where it calls itself."""
OWN_NUMBERS = frozenset(("socket.gaierror", "socket.herror", "ssl.SSLError"))
"""Kinds of ``OSError`` whose ``errno`` is none."""
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_suppresses = BaseException.__dict__["__suppress_context__"].__get__
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_members_of = BaseExceptionGroup.__dict__["exceptions"].__get__
_errno_of = OSError.__dict__["errno"].__get__
Told = tuple[tuple[str, ...], tuple[str, ...]]


def fault_of(error: BaseException, own: Own) -> Fault:
    """Types: the exception, the members of a group, then its causes. Frames: as Python prints them,
    the oldest cause first; those of a group before those of its members.

    Members that tell the same are told once, in an order that is not that of their failing.
    """
    types, frames = _told(error, own, set(), 0)
    return Fault.bounded(types, frames)


def _told(error: BaseException, own: Own, seen: set[int], depth: int) -> Told:
    return told(
        (
            type_name(each, own),
            frames_of(each, own),
            [_told(it, own, seen, depth + 1) for it in members(each, depth) if _left(seen)],
        )
        for each in _chain(error, seen)
    )


def told(chain: Iterable[tuple[str, Sequence[str], Iterable[Told]]]) -> Told:
    """Types and frames of a chain, the newest exception first: of each the type, the frames, and
    what its members tell. Types that follow each other are told once: how often something was
    tried again is chance."""
    types: list[str] = []
    frames: list[str] = []
    for name, own, many in chain:
        inner = sorted(set(many))
        types += (name, *dict.fromkeys(it for names, _ in inner for it in names))
        frames = [*own, *(it for _, some in inner for it in some), *frames]
    return tuple(name for name, _ in groupby(types)), tuple(frames)


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    while error is not None and id(error) not in seen and _left(seen):
        seen.add(id(error))
        yield error
        error = cause(error) or context(error)


def _left(seen: set[int]) -> bool:
    return len(seen) < MAX_LOOKED


def cause(error: BaseException) -> BaseException | None:
    """What it was raised ``from``."""
    found: BaseException | None = _cause_of(error)
    return found


def context(error: BaseException) -> BaseException | None:
    """What was being handled when it was raised, unless that is not to be shown."""
    found: BaseException | None = None if _suppresses(error) else _context_of(error)
    return found


def members(error: BaseException, depth: int = 0) -> tuple[BaseException, ...]:
    """Of a group that lies in ``depth`` others, at most ``MAX_LOOKED``."""
    if not issubclass(type(error), BaseExceptionGroup) or depth >= MAX_NESTED:
        return ()
    found: tuple[BaseException, ...] = _members_of(error)[:MAX_LOOKED]
    return found


def type_name(error: BaseException, own: Own) -> str:
    """Such as ``FileNotFoundError[ENOENT]``."""
    name, number = own.type(type(error)), errno_name(error)
    return f"{name}[{number}]" if number and name != OTHER else name


def errno_name(error: BaseException) -> str | None:
    if not issubclass(type(error), OSError) or OWN_NUMBERS & {*raw_names(type(error))}:
        return None
    number = _errno_of(error)
    return errno.errorcode.get(number) if type(number) is int else None


def frames_of(error: BaseException, own: Own) -> list[str]:
    """Of its own traceback."""
    found = list(_walked(_traceback_of(error), own))
    return folded(found, recursion=issubclass(type(error), RecursionError))


def innermost_is_own(error: BaseException, own: Own) -> bool:
    """Whether it was raised by the application's own code."""
    return [OTHER, *_walked(_traceback_of(error), own)][-1] != OTHER


def _walked(traceback: TracebackType | None, own: Own) -> Iterator[str]:
    known: dict[tuple[int, int], str] = {}
    for _ in range(MAX_DEPTH):
        if traceback is None:
            return
        frame = traceback.tb_frame
        key = id(frame.f_code), id(frame.f_globals)  # code would be hashed with all its constants
        if key not in known:
            known[key] = own.frame(frame.f_code, frame.f_globals)
        name = known[key]
        yield name if name == OTHER else f"{name}+{_line(traceback)}"
        traceback = traceback.tb_next


def _line(traceback: TracebackType) -> int:
    """Counted from the first of the function, decorators included."""
    line: int | None = traceback.tb_lineno
    return min(max((line or 0) - traceback.tb_frame.f_code.co_firstlineno, 0), _MOST_LINES)


def folded(frames: list[str], *, recursion: bool) -> list[str]:
    """Frames of which none stands there twice, but for the innermost: how deep something was when
    it failed depends on what it worked on.

    The first place is kept, with the last line. Where ``recursion`` itself was the fault, what was
    called last is chance and left out.
    """
    kept: dict[object, str] = {}
    times: dict[object, int] = {}
    for at, frame in enumerate(frames):
        key: object = at if frame == OTHER else frame.partition("+")[0]
        kept[key] = frame
        times[key] = times.get(key, 0) + 1
    keys = [*kept]
    if recursion:
        again = [at for at, key in enumerate(keys) if times[key] >= _RECURSES]
        keys = keys[: again[-1] + 1] if again else keys
        return [kept[key] for key in keys]
    last = frames[-1:]
    return [*kept.values(), *(last if last != [*kept.values()][-1:] else ())]
