"""One traceback in every shape that it comes in."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from mars.faults.own import Own
from mars.faults.text import MAX_FAULTS, faults
from mars.wire.reports.fault import Fault

OWN = Own(["examplemail"])
PLAIN = """\
Traceback (most recent call last):
  File "/usr/bin/examplemail", line 8, in <module>
    sys.exit(main())
             ^^^^^^
  File "/usr/lib/python3/dist-packages/examplemail/app.py", line 12, in main
    return run(password="hunter2")
  File "/usr/lib/python3.11/contextlib.py", line 81, in inner
    return func(*args, **kwds)
  File "/usr/lib/python3/dist-packages/examplemail/ui/window.py", line 3, in <lambda>
    raise OSError(errno.ENOSPC, "hunter2")
OSError: [Errno 28] No space left on device: 'hunter2'
"""
FAULT = Fault(
    ("OSError[ENOSPC]",),
    ("<other>", "examplemail.app:main", "<other>", "examplemail.ui.window:<lambda>"),
)
DIST = "/usr/lib/python3/dist-packages/"


def moved(to: str) -> Callable[[str], str]:
    return lambda text: text.replace(DIST, to)


SHAPES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "colours": lambda text: re.sub('("[^"]+")', "\x1b[35m\\1\x1b[0m", text),
    "no indentation": lambda text: re.sub("^ +", "", text, flags=re.MULTILINE),
    "quoted": lambda text: re.sub("^", "> > ", text, flags=re.MULTILINE),
    "a list": lambda text: re.sub("^", "   | ", text, flags=re.MULTILINE),
    "a journal": lambda text: re.sub("^", "Dec 01 host app[7]: ", text, flags=re.MULTILINE),
    "words before": lambda text: f"12:00 ERROR it failed\n{text}",
    "words before on the line": lambda text: f"12:00 ERROR it failed: {text}",
    "no lines of source": lambda text: re.sub("^    .*\n", "", text, flags=re.MULTILINE),
    "no header": lambda text: text.partition("\n")[2],
    "notes": lambda text: f"{text}hunter2: a note\nhunter2\n",
    "log after": lambda text: f"{text}12:01 INFO hunter2: started\n",
    "a message of many lines": lambda text: f'{text}hunter2.Error: x\n  File "hunter2"\n',
    "another place": moved("/home/hunter2/.local/lib/python3.8/site-packages/"),
    "a checkout": moved("/home/hunter2/examplemail/src/"),
    "a relative path": moved(""),
    "a zip file": moved("/opt/hunter2.pyz/"),
    "Windows": lambda text: moved("C:\\Users\\hunter2 é\\")(text).replace("/", "\\"),
    "a bundle of macOS": moved("/Applications/Example Mail.app/Contents/Resources/lib/"),
    "an environment of that name": moved("/home/hunter2/examplemail/lib/python3.12/site-packages/"),
    "pipx": moved("/home/hunter2/.local/share/pipx/venvs/examplemail/lib/python3/site-packages/"),
    "compiled": lambda text: moved("")(text).replace(".py", ".pyx"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_traceback_is_read_in_any_shape(shape: str) -> None:
    (found,) = faults(SHAPES[shape](PLAIN), OWN)
    assert found.types == FAULT.types
    assert found.names == FAULT.names
    assert "hunter2" not in found.body.decode()


def test_frames_are_told_without_lines() -> None:
    assert faults(PLAIN, OWN) == (FAULT,)


def test_without_its_end_the_type_is_not_known() -> None:
    (found,) = faults(PLAIN.rpartition("OSError")[0], OWN)
    assert (found.types, found.names) == (("<other>",), FAULT.names)


def test_a_text_without_a_frame_of_ours_tells_no_fault() -> None:
    assert faults(PLAIN, Own(["othermail"])) == ()
    assert faults(PLAIN, Own([])) == ()
    assert faults("examplemail failed: OSError", OWN) == ()


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("ValueError", "ValueError"),
        ("IOError: x", "OSError"),
        ("socket.timeout: timed out", "TimeoutError"),
        ("asyncio.exceptions.TimeoutError", "TimeoutError"),
        ("json.decoder.JSONDecodeError: x", "json.decoder.JSONDecodeError"),
        ("examplemail.errors.Lost: x", "examplemail.errors.Lost"),
        ("examplemail.ui.run.<locals>.Lost: x", "<other>"),
        ("requests.exceptions.ConnectionError: x", "<other>"),
        ("hunter2: x", "<other>"),
        ("socket.gaierror: [Errno 1] x", "socket.gaierror"),
        ("ConnectionResetError: [Errno 104] x", "ConnectionResetError[ECONNRESET]"),
        ("OSError: [WinError 1920] x", "OSError"),
        ("OSError: [Errno 99999] x", "OSError"),
        ("print: x", "<other>"),
    ],
)
def test_types_as_they_are_printed(printed: str, told: str) -> None:
    (found,) = faults(f"{PLAIN.rpartition('OSError')[0]}{printed}\n", OWN)
    assert found.types == (told,)


@pytest.mark.parametrize(
    "path",
    [
        "/home/examplemail/.venv/lib/python3.11/site-packages/hunter2/x.py",
        "C:\\envs\\examplemail\\lib\\json\\decoder.py",
        "C:\\envs\\examplemail\\Lib\\site-packages\\hunter2.py",
        "/home/hunter2/examplemail scripts/x.py",
        "/home/hunter2/examplemail/my-notes/x.py",
        "examplemail2/x.py",
        "<string>",
        "<frozen examplemail>",
        "",
    ],
)
def test_paths_that_are_not_the_applications(path: str) -> None:
    assert OWN.at(path) is None
    assert faults(f'  File "{path}", line 1, in f\nValueError\n', OWN) == ()


def test_a_users_script_in_a_folder_of_that_name_is_not_named() -> None:
    home = "/home/hunter2/.config/examplemail/rules/hunter2.py"
    script = f'  File "{home}", line 1, in hunter2\n    x\n'
    for at in (1, -2):  # below the application's frames, or above all of them
        lines = PLAIN.splitlines(keepends=True)
        lines.insert(at, script)
        (found,) = faults("".join(lines), OWN)
        assert found.names == FAULT.names


def test_many_faults_of_one_text_are_told_once_each() -> None:
    other = PLAIN.replace("in main", "in start")
    names = [fault.names[0] for fault in faults(PLAIN + other + PLAIN, OWN)]
    assert names == ["examplemail.app:main", "examplemail.app:start"]
    many = "".join(PLAIN.replace("in main", f"in f{n}") for n in range(2 * MAX_FAULTS))
    assert len(faults(many, OWN)) == MAX_FAULTS


def test_what_faulthandler_says_begins_with_the_innermost() -> None:
    frames = [line for line in PLAIN.splitlines() if line.startswith("  File")]
    text = "\n".join(line.replace(", in ", " in ") for line in reversed(frames))
    dump = (
        f"Fatal Python error: Aborted\n\nCurrent thread 0x00007f (most recent call first):\n{text}"
    )
    (found,) = faults(dump, OWN)
    assert (found.types, found.names) == (("<other>",), FAULT.names)
