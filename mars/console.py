"""What the three command lines share: late loading, ``--json``, exit codes, safe text.

Exit codes: 0 done, 1 refused or failed with a reason, 2 wrong usage. Results go to stdout,
everything else to stderr; a user never sees a traceback.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback
import unicodedata
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from mars.errors import MarsError


class LazyGroup(click.Group):
    """A click group that imports a command's module only when that command is used.

    ``commands_in`` maps a command's name to ``"module:attribute"``.
    """

    def __init__(self, *args: Any, commands_in: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = dict(commands_in)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        place = self._places.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


def run(command: click.Command, name: str) -> NoReturn:
    """Runs ``command`` as the process's main program and exits with the agreed codes.

    A character that the output's encoding lacks, as with LANG=C or in a file on Windows, is
    written as its escape: no command fails for the sake of one.
    """
    sys.stdout, sys.stderr = _never_failing(sys.stdout), _never_failing(sys.stderr)
    code, said = _ended(command, name)
    with contextlib.suppress(OSError):  # nobody reads stderr any more
        said()
    _is_written(sys.stderr)
    sys.exit(code if _is_written(sys.stdout) else code or 1)


def _never_failing(stream: TextIO | None) -> TextIO:
    """``stream``, or what takes all and keeps nothing where it was closed from the beginning."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _ended(command: click.Command, name: str) -> tuple[int, Callable[[], None]]:
    """The exit code, and what says on stderr why it is not 0."""
    try:
        code = command.main(prog_name=name, standalone_mode=False)
    except MarsError as error:
        said = f"{safe(error.message)} [{error.reason}]"
    except click.exceptions.Abort:
        said = "interrupted"
    except click.ClickException as error:
        return error.exit_code, error.show
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None), _nothing
    except BrokenPipeError:
        return 1, _nothing  # whoever closed our stdout has read enough
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        said = f"{error.strerror or error}{where} [os-error]"
    except Exception as error:  # noqa: BLE001 - the last resort: a defect of ours, told in a line
        said = f"{_defect(error)} [internal]"
    else:
        return code if isinstance(code, int) else 0, _nothing
    return 1, partial(click.echo, f"{name}: {said}", err=True)


def _nothing() -> None:
    """Said where all is done, or was said already."""


def _is_written(stream: TextIO) -> bool:
    """Whether all of it went out. What cannot go is dropped here: the interpreter, which flushes
    once more at its end, would exit with 120."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


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


_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
