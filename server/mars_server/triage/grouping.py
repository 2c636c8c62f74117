"""Which faults fall together: a title of the type and the frames that say where it happened. Pure.

As Mozilla's Socorro makes signatures of crashes, from the innermost frame outwards: *irrelevant*
frames are passed over; frames on the *prefix* list (helpers, which many faults pass through) are
named, and the next one too; the first that is on neither ends the title. Where a *sentinel* is
met, the title begins there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from mars.errors import ConfigError
from mars.wire.reports.fault import OTHER, Fault

MAX_PATTERNS = 1_000
MAX_PATTERN = 200
"""Characters."""
MOST_FRAMES = 8
"""In a title."""
_NAMES = ("irrelevant", "prefix", "sentinel")
_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True)
class Lists:
    """Patterns of ``module:name``, whole and with capitals; ``*`` stands for anything."""

    irrelevant: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    sentinel: tuple[str, ...] = ()
    _compiled: Mapping[str, re.Pattern[str]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        made = {name: _compiled(getattr(self, name)) for name in _NAMES}
        object.__setattr__(self, "_compiled", made)

    @classmethod
    def parse(cls, data: bytes, where: str) -> Lists:
        """Of TOML. Raises ``ConfigError`` (``lists-invalid``) that names ``where``."""
        try:
            table = tomllib.loads(data.decode("utf-8-sig"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise _wrong(where, f"is not TOML in UTF-8: {error}") from None
        if unknown := sorted(table.keys() - set(_NAMES)):
            raise _wrong(where, f"has {unknown[0]!r}; known are {', '.join(_NAMES)}")
        return cls(**{name: _patterns(table, name, where) for name in table})

    @property
    def digest(self) -> str:
        """By which it is known whether groups were made with these."""
        said = repr((self.irrelevant, self.prefix, self.sentinel)).encode()
        return blake2b(said, digest_size=16).hexdigest()

    @lru_cache(maxsize=4096)  # noqa: B019 - there is one of it, as long as the process
    def title(self, fault: Fault) -> str:
        """Of the group that ``fault`` belongs to: ``ValueError | mail.store:load``."""
        return " | ".join((fault.types[0], *(self._frames(fault.names[::-1]) or (OTHER,))))

    def _frames(self, names: Sequence[str]) -> tuple[str, ...]:
        """``names``: innermost first."""
        start = next((at for at, name in enumerate(names) if self._is("sentinel", name)), 0)
        kept = [name for name in names[start:] if not self._is("irrelevant", name)]
        kept = kept or list(names[start:])
        end = next((at for at, name in enumerate(kept) if not self._is("prefix", name)), len(kept))
        return tuple(kept[: min(end + 1, MOST_FRAMES)])

    def _is(self, which: str, name: str) -> bool:
        return self._compiled[which].fullmatch(name) is not None


def _compiled(patterns: Iterable[str]) -> re.Pattern[str]:
    parts = "|".join(translate(each.replace("[", "[[]")) for each in patterns)
    return re.compile(parts) if parts else _NEVER


def _patterns(table: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = table[name]
    if not isinstance(value, list) or len(value) > MAX_PATTERNS:
        raise _wrong(where, f"{name} must be a list of at most {MAX_PATTERNS} patterns")
    for each in value:
        if not (isinstance(each, str) and ":" in each and len(each) <= MAX_PATTERN):
            raise _wrong(where, f"{name} holds {each!r}; it takes patterns like mail.util:require")
    return tuple(value)


def _wrong(where: str, what: str) -> ConfigError:
    return ConfigError("lists-invalid", f"{where}: {what}.")
