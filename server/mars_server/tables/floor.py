"""Floors: the one place that turns an exact count into something that may be published.

Whatever renders a page, a chart or a download takes ``Published`` and nothing else, and only
``floor`` (from an exact count) and ``restore`` (from an already published file) make one. A
count is rounded down to a multiple of ten; 0–9 is hidden and shown as ``<10``, so that nobody
learns whether a small cell is empty. ``None`` is neither: it says that there is no data at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass
from fractions import Fraction
from typing import Final, final

from mars.errors import WireError

STEP: Final = 10
"""Counts are rounded down to a multiple of this many hits."""
HIDDEN: Final = "<10"
"""How 0–9 is written in JSON, CSV and on pages."""

_SEAL = object()


@dataclass(frozen=True, slots=True)
class _Sealed:
    """What this module alone can make, so that nothing else is ever shown."""

    value: int | str | None
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError(f"{type(self).__name__} values are made by mars_server.tables.floor.")


@final
class Published(_Sealed):
    """A number of hits that may be shown. ``value`` is as it stands in JSON: a multiple of ten (at
    least ten), ``"<10"`` where it is hidden, or None where there is no data."""

    __slots__ = ()

    @property
    def missing(self) -> bool:
        """No data, which is neither zero nor few."""
        return self.value is None

    @property
    def hidden(self) -> bool:
        """Somewhere from 0 to 9."""
        return self.value == HIDDEN

    @property
    def least(self) -> int:
        """The smallest true count that fits; 0 where hidden or missing."""
        return self.value if isinstance(self.value, int) else 0

    @property
    def most(self) -> int:
        """The largest true count that fits; 0 where there is no data."""
        return 0 if self.value is None else self.least + STEP - 1

    @property
    def middle(self) -> Fraction:
        """Of the true counts that fit."""
        return Fraction(self.least + self.most, 2)


@final
class Percent(_Sealed):
    """A whole percentage, computed from ``Published`` values. ``value`` is 0 to 100, or None: the
    part is hidden or missing, or there is nothing to divide by."""

    __slots__ = ()
    value: int | None


NO_DATA: Final = Published(None, _SEAL)


def floor(count: int | None) -> Published:
    """``count`` hits rounded down to tens; below ten hidden; None (nothing was counted) stays so.

    Negative numbers, which only noise can make, are hidden like zero.
    """
    if count is None:
        return NO_DATA
    return Published(count // STEP * STEP if count >= STEP else HIDDEN, _SEAL)


def restore(value: object) -> Published:
    """A value of an already published file. Raises ``WireError`` for anything that is no floor."""
    if value is None or value == HIDDEN:
        return Published(value, _SEAL)
    if type(value) is int and value >= STEP and value % STEP == 0:
        return Published(value, _SEAL)
    raise WireError("not-floored", "A published number is neither a multiple of ten nor <10.")


def together(parts: Iterable[Published]) -> Published:
    """The sum of ``parts`` at their floors; hidden where all of them are, no data where there is
    none with data."""
    known = [each for each in parts if not each.missing]
    return floor(sum(each.least for each in known)) if known else NO_DATA


def base(parts: Iterable[Published]) -> Published:
    """What shares of ``parts`` are shares of: their sum at their floors; no data where that is
    nothing."""
    found = together(parts)
    return NO_DATA if found.hidden else found


def shares(parts: Sequence[Published]) -> list[Percent]:
    """Each of ``parts`` in whole percent of all of them, at their floors; halves round up."""
    whole = sum(each.least for each in parts)
    return [_percent(each.least, whole) for each in parts]


def joint_share(some: Iterable[Published], parts: Iterable[Published]) -> Percent:
    """Several of ``parts`` together in whole percent of all of them, at their floors."""
    return _percent(sum(each.least for each in some), sum(each.least for each in parts))


def _percent(piece: int, whole: int) -> Percent:
    if piece == 0 or whole == 0:
        return Percent(None, _SEAL)
    return Percent((200 * piece + whole) // (2 * whole), _SEAL)
