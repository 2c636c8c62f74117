"""What went wrong, for the host to see: a failure stands until the thing that failed succeeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mars.errors import ConfigError, MarsError

T = TypeVar("T")

_TAKE_ARGUMENTS = frozenset({"Mars", "folder", "tor", "grant", "variables", "preview", "reset_age"})
_WRONG_ARGUMENT = (TypeError, ValueError, AttributeError, LookupError, OverflowError)


class Problems:
    """The last failure of each thing that was tried. With ``debug`` wrong calls raise."""

    def __init__(self, debug: bool = False) -> None:
        self._debug = debug
        self._found: dict[str, MarsError] = {}

    @property
    def last(self) -> MarsError | None:
        """The newest of those that still stand."""
        found = list(self._found.values())
        return found[-1] if found else None

    def attempt(self, what: str, do: Callable[[], T], otherwise: T, *, thread: bool = False) -> T:
        """What ``do`` returns; ``otherwise`` where it fails, and then the failure stands.

        In the client's own ``thread`` nothing at all gets through, no ``sys.exit()`` either. In
        the host's only what is the host's own: Ctrl-C, and with ``debug`` a developer's mistake.
        """
        try:
            result = do()
        except BaseException as error:
            if not (thread or isinstance(error, Exception)):
                raise
            found = _named(what, error)
            self.hold(what, found)
            if self._debug and not thread and isinstance(found, ConfigError):
                raise found from None
            return otherwise
        self.hold(what, None)
        return result

    def hold(self, what: str, error: MarsError | None) -> None:
        """``error`` stands for ``what`` from now on; None ends that."""
        if error is None or self._found.get(what) is not error:
            self._found.pop(what, None)
        if error is not None:
            self._found[what] = error


def _named(what: str, error: BaseException) -> MarsError:
    if isinstance(error, MarsError):
        return error
    if what in _TAKE_ARGUMENTS and isinstance(error, _WRONG_ARGUMENT):
        return ConfigError("wrong-call", f"{what} was called wrongly ({error}).")
    return MarsError("internal", f"An error of ours ({type(error).__name__}); please report it.")
