"""What the three command lines share: late loading, ``--json``, exit codes, safe text.

Exit codes: 0 done, 1 refused or failed with a reason, 2 wrong usage. Results go to stdout,
everything else to stderr; a user never sees a traceback.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import json
import os
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeVar

import click

from mars.errors import ConfigError, MarsError

F = TypeVar("F", bound=Callable[..., Any])


class LazyGroup(click.Group):
    """A click group in the order given, that imports a command's module only when it is used.

    ``commands_in`` maps a command's name to ``"module:attribute"``; ``needs`` is the list in
    requirements/ of what the commands import.
    """

    def __init__(
        self,
        *args: Any,
        commands_in: Mapping[str, str] | None = None,
        needs: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._places = dict(commands_in or {})
        self.needs = needs

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [*self._places, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._places.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = place.partition(":")
        try:
            command: click.Command = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            why = _missing(error, self.needs)
            if why is None:
                raise
            return _unusable(cmd_name, why)
        return command


def _missing(error: Exception, needs: str) -> ConfigError | None:
    """What to install where a library of others is not there; None for any other ``error``."""
    library = (getattr(error, "name", None) or "").partition(".")[0]
    ours = library in ("", "mars", "mars_server", "mars_motd")
    if not needs or ours or not isinstance(error, ModuleNotFoundError):
        return None
    return ConfigError(
        "extra-missing",
        f"{library} is not installed; install what the copy of the repository names: pip install "
        f"-r requirements/{needs}.txt",
    )


def _unusable(name: str, why: ConfigError) -> click.Command:
    """Stands in the list of commands, and refuses whatever it is given, ``--help`` too."""

    def refuse() -> NoReturn:
        raise why

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(
        name, anything, refuse, help=f"Unusable: {why.message}", add_help_option=False
    )


Command = Callable[..., Any]


def options(*wanted: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several click options as one decorator, shown in the order given."""
    return lambda command: functools.reduce(
        lambda made, option: option(made), reversed(wanted), command
    )


def json_option(text: str = "Print one JSON document.") -> Callable[[F], F]:
    """``--json``. With it ``run`` tells a refusal as JSON on stdout too."""

    def note(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
        if isinstance(ctx.obj, dict):
            ctx.obj["json"] = value
        return value

    return click.option("--json", "as_json", is_flag=True, callback=note, help=text)


def run(command: click.Command, name: str) -> NoReturn:
    """Runs ``command`` as the process's main program and exits with the agreed codes.

    A character that the output's encoding lacks, as with LANG=C or in a file on Windows, is
    written as its escape: no command fails for the sake of one.
    """
    sys.stdout, sys.stderr = _never_failing(sys.stdout), _never_failing(sys.stderr)
    chosen: dict[str, bool] = {}
    try:
        code = _run(command, name, chosen)
    except OSError as error:  # stdout or stderr itself
        code = _lost(error, name)
    code = _flush(sys.stdout, name, code)
    _flush(sys.stderr, name, code)
    sys.exit(code)


def _never_failing(stream: TextIO | None) -> TextIO:
    """``stream``, or what takes all and keeps nothing where it was closed from the beginning."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _run(command: click.Command, name: str, chosen: Mapping[str, bool]) -> int:
    try:
        code = command.main(prog_name=name, standalone_mode=False, obj=chosen)
    except click.exceptions.Abort:
        return _say(f"{name}: interrupted")
    except click.ClickException as error:
        if chosen.get("json"):
            emit_json({"ok": False, "reason": "usage", "message": safe(error.format_message())})
        shown = io.StringIO()
        error.show(shown)
        with contextlib.suppress(OSError):  # nobody reads stderr any more
            click.echo(safe(shown.getvalue()), nl=False, err=True)
        return error.exit_code
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BrokenPipeError:
        return 1
    except Exception as error:  # noqa: BLE001 - the last resort: a defect of ours, told in a line
        reason, message = told(_missing(error, getattr(command, "needs", "")) or error)
        if chosen.get("json"):
            emit_json({"ok": False, "reason": reason, "message": safe(message)})
            return 1
        return _say(f"{name}: {message} [{reason}]")
    return code if isinstance(code, int) else 0


def told(error: Exception) -> tuple[str, str]:
    """Reason code and sentence for whatever was raised."""
    if isinstance(error, MarsError):
        return error.reason, error.message
    if isinstance(error, OSError):
        where = f" ({shown(error.filename)})" if isinstance(error.filename, str | bytes) else ""
        room = "; make room on that disk" if error.errno in _FULL else ""
        return "os-error", f"{error.strerror or error}{where}{room}"
    return "internal", _defect(error)


def _flush(stream: TextIO, name: str, code: int) -> int:
    """What the interpreter does at its end, where a failure would make the exit code 120."""
    try:
        stream.flush()
    except (OSError, ValueError) as error:
        _silence(stream)
        return code or _lost(error, name)
    return code


@contextlib.contextmanager
def done(what: str) -> Iterator[None]:
    """Around the output of something that is done and stays so, whether or not that can be told:
    where it cannot, stderr has ``what`` and why, and the exit code is none of a failure."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        _silence(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            _say(f"{what}; only this output cannot be written: {told(error)[1]}")


def _silence(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _lost(error: Exception, name: str) -> int:
    """Nobody reads the output any more, which is no news to him, or it cannot be written."""
    if isinstance(error, BrokenPipeError):
        return 1
    return _say(f"{name}: the output cannot be written: {told(error)[1]}")


def _say(text: str) -> int:
    with contextlib.suppress(OSError):  # nobody reads stderr any more
        click.echo(one_line(text), err=True)
    return 1


def _defect(error: Exception) -> str:
    """Kind and place, never the error's text or a variable: those may hold what was read."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"a defect in this program ({type(error).__name__}{place}); please report this line"


def emit_json(value: object) -> None:
    """Prints one JSON document on stdout, keys as given, ASCII only, one trailing newline."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def safe(text: str) -> str:
    """``text`` without control, format and surrogate characters (newline and tab are kept).

    For text that came from outside and goes to a terminal.
    """
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _UNSAFE)


def shown(path: str | bytes | os.PathLike[str]) -> str:
    """A file's name as a message shows it, on one line: what is no printable text is escaped."""
    return one_line(os.fsencode(path).decode("utf-8", "backslashreplace"))


def one_line(text: str) -> str:
    """``text`` with those characters, newline and tab written as their escapes: a name that came
    from outside can neither steer a terminal nor begin a line of its own."""
    return "".join(c if unicodedata.category(c) not in _UNSAFE else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
