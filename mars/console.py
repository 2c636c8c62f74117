"""What the three command lines share: late loading, ``--json``, exit codes, safe text.

Exit codes: 0 done, 1 refused or failed with a reason, 2 wrong usage. Results go to stdout,
everything else to stderr; a user never sees a traceback.
"""

from __future__ import annotations

import json
import sys
import traceback
import unicodedata
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

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
    """Runs ``command`` as the process's main program and exits with the agreed codes."""
    try:
        code = command.main(prog_name=name, standalone_mode=False)
    except MarsError as error:
        click.echo(f"{name}: {safe(error.message)} [{error.reason}]", err=True)
        sys.exit(1)
    except click.exceptions.Abort:
        click.echo(f"{name}: interrupted", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        click.echo(f"{name}: {error.strerror or error}{where} [os-error]", err=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last resort: a defect of ours, told in a line
        click.echo(f"{name}: {_defect(error)} [internal]", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


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
