"""Which exceptions tell of the computer they happened on and not of a fault in the application.

Rules are those of triage (``mars.wire.reports.rules``). Their words are the names of a type and of
all its bases, as Python prints them and for ``OSError`` also with the error's number, and the
fault's own frames as ``module:name``.
"""

from __future__ import annotations

from collections.abc import Iterable

from mars.faults.own import Own, raw_names
from mars.faults.walk import cause, context, errno_name, innermost_is_own, members
from mars.wire.reports.rules import Rule

RULES = (
    # Somebody ended it.
    "KeyboardInterrupt or SystemExit or GeneratorExit or asyncio.exceptions.CancelledError",
    # Memory, disk and handles are used up, or fail.
    "MemoryError",
    "OSError[ENOMEM] or OSError[ENOSPC] or OSError[EDQUOT] or OSError[EFBIG]",
    "OSError[EROFS] or OSError[EIO] or OSError[EMFILE] or OSError[ENFILE] or OSError[ENODEV]",
    # The network, or whoever is at its other end.
    "ConnectionError or TimeoutError or socket.gaierror or socket.herror or ssl.SSLError",
    "OSError[ENETDOWN] or OSError[ENETUNREACH] or OSError[ENETRESET] or OSError[EHOSTDOWN]",
    "OSError[EHOSTUNREACH] or OSError[EADDRNOTAVAIL] or OSError[ENOTCONN]",
    "urllib.error.URLError and not urllib.error.HTTPError",
)
MAX_CAUSES = 20


class Environment:
    """``also`` are an application's rules beside ours. Raises ``WireError`` (``rule-invalid``)."""

    def __init__(self, own: Own, also: Iterable[str] = ()) -> None:
        self._own = own
        self._rules = [Rule.parse(text) for text in (*RULES, *also)]

    def claims(self, error: BaseException, names: Iterable[str]) -> bool:
        """Whether a rule claims the exception, or what caused it; ``names`` are the fault's.

        Of a group every member must be claimed. What was being handled when the application's own
        code raised something else did not cause it.
        """
        return self._claims(error, frozenset(names), 0)

    def _claims(self, error: BaseException, names: frozenset[str], depth: int) -> bool:
        found: BaseException | None = error
        for _ in range(MAX_CAUSES):
            if found is None:
                return False
            words = names | _words(found)
            within = members(found, depth)
            if any(rule.claims(words) for rule in self._rules):
                return True
            if within and all(self._claims(each, names, depth + 1) for each in within):
                return True
            found = cause(found) or self._handled(found)
        return False

    def _handled(self, error: BaseException) -> BaseException | None:
        return None if innermost_is_own(error, self._own) else context(error)


def _words(error: BaseException) -> set[str]:
    names, number = raw_names(type(error)), errno_name(error)
    return {*names, *(f"{name}[{number}]" for name in names if number)}
