"""Types whose every answer is an exception. pytest asks too: they stand where it collects none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Broken:
    """Whatever is asked of it raises."""

    def __getattribute__(self, name: str) -> Any:
        raise LookupError(name)

    def __str__(self) -> str:
        raise LookupError

    __repr__ = __str__
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise LookupError

    def __bool__(self) -> bool:
        raise LookupError

    def __iter__(self) -> Iterator[object]:
        raise LookupError


ARMED: list[None] = []
"""Not empty while something is captured. Libraries of the same process that look at every exception
there is, as tblib does when it is imported, are answered as usual."""


class Meta(type):
    """Of types that answer as they like."""

    def __getattribute__(cls, name: str) -> Any:
        if ARMED:
            raise LookupError(name)
        return type.__getattribute__(cls, name)

    def __eq__(cls, other: object) -> bool:
        if ARMED:
            raise LookupError
        return cls is other

    def __hash__(cls) -> int:
        if ARMED:
            raise LookupError
        return type.__hash__(cls)


class Hostile(Exception, metaclass=Meta):
    def __str__(self) -> str:
        raise LookupError

    __repr__ = __str__

    def __getattribute__(self, name: str) -> Any:
        raise LookupError(name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise LookupError

    def __eq__(self, other: object) -> bool:
        raise LookupError

    def __hash__(self) -> int:
        raise LookupError

    def __bool__(self) -> bool:
        raise LookupError


class HostileGroup(ExceptionGroup[Exception]):
    @property
    def exceptions(self) -> Any:  # type: ignore[override,misc,unused-ignore]
        raise LookupError


class HostileSystemError(OSError):
    @property
    def errno(self) -> Any:  # type: ignore[override,misc,unused-ignore]
        raise LookupError


class Text(str):
    """A name that answers as it likes."""

    __slots__ = ()

    def partition(self, *_: object) -> Any:
        raise LookupError

    startswith = split = __eq__ = partition  # type: ignore[assignment]
    __hash__ = str.__hash__


class Names(dict[str, Any]):
    """Globals that answer as they like."""

    def __getitem__(self, name: str) -> Any:
        if name.startswith("__"):
            raise LookupError
        return super().__getitem__(name)

    get = __contains__ = __getitem__  # type: ignore[assignment]


RAN: list[str] = []
"""What of ``Told`` and ``Constant`` was run."""


class Told(str):
    """A name that is equal to one and is told as another; it notes that it was asked."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        RAN.append("eq")
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        RAN.append("hash")
        return str.__hash__(self)

    def __format__(self, how: str) -> str:
        RAN.append("format")
        return "hunter2"


class Constant:
    """What code holds; it notes that it was asked."""

    def __hash__(self) -> int:
        RAN.append("hash of a constant")
        return 1
