"""Secrets in every place of an exception: none is in what is captured of it."""

from __future__ import annotations

import builtins
import importlib
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mars.faults.capture import Capture
from mars.faults.hooks import Hooks
from mars.faults.own import Own
from mars.faults.text import faults
from mars.wire.reports.fault import Fault
from tests import applications
from tests.hostile.made_names import BELIEVED, MADE
from tests.hostile.secrets_app import CASES, MARK
from tests.hostile.secrets_app import FILES as SECRETS

FILES = {**SECRETS, "examplemail/made.py": MADE}
NAMES = [
    f"{module}:{name}"
    for module, text in (("case", CASES), ("made", MADE))
    for name in re.findall(r"^def (case_\w+)", text, re.MULTILINE)
]
OWN = Own([applications.NAME])
MADE_UP = (
    "case:case_dynamic_type",
    "case:case_plug_in_of_the_user",
    "case:case_plug_in_in_a_folder_like_ours",
    *(f"made:{name}" for name in BELIEVED),
)
"""They have names made of secrets while the program runs, below the application's modules. A text
has nothing but the name: it is taken, and the user sees it."""
IDENTIFIER = re.compile(r"[^\W\d]\w*")
PUBLIC = re.compile(r"<other>|<(?:module|lambda|genexpr|listcomp|locals)>|\+\d+|\[E[A-Z]+\]|[.:]")


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The application lies in the folder of somebody with a name."""
    folder = tmp_path_factory.mktemp(f"{MARK}-smith") / "examplemail-0.5.2"
    with applications.imported(folder, FILES):
        yield folder


def raised(name: str) -> Exception:
    module, _, case = name.partition(":")
    try:
        getattr(importlib.import_module(f"examplemail.{module}"), case)()
    except Exception as error:  # noqa: BLE001 - each raises its own
        return error
    raise AssertionError(name)


def require_public(fault: Fault) -> None:
    """Nothing in it but names that stand in the application's source or are Python's."""
    body = fault.body.decode()
    assert MARK not in body.lower(), body
    known = {*IDENTIFIER.findall("".join(FILES.values())), *dir(builtins)}
    known |= {"examplemail", "case", "made", *sys.stdlib_module_names, "decoder", "JSONDecodeError"}
    for name in (*fault.types, *fault.frames):
        left = {*IDENTIFIER.findall(PUBLIC.sub(" ", name))} - known
        assert all(hasattr(sys.modules.get(name.rpartition(".")[0]), it) for it in left), name


def test_there_are_many_places() -> None:
    assert len(NAMES) >= 100


@pytest.mark.parametrize("name", NAMES)
def test_j12_no_secret_of_an_exception_is_in_what_is_captured(name: str) -> None:
    taken: list[Fault] = []
    capture = Capture(taken.append, [applications.NAME])
    log = logging.Logger(f"{MARK}.log")
    log.addHandler(capture.handler())
    error = raised(name)
    assert MARK in "".join(traceback.format_exception(error)).lower()
    log.error(f"{MARK} %s", MARK, exc_info=error, extra={MARK: MARK}, stack_info=True)
    assert len(taken) == 1
    assert f"examplemail.{name}" in str(taken[0].names) or name == "case:case_recursion"
    require_public(taken[0])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MADE_UP])
def test_j12_no_secret_of_a_printed_traceback_is_in_what_is_read_of_it(name: str) -> None:
    """Also where it was printed with all values of its frames."""
    told = traceback.TracebackException.from_exception(raised(name), capture_locals=True)
    found = faults("".join(told.format()), OWN)
    assert found
    for fault in found:
        require_public(fault)


def test_j13_what_stands_in_the_message_alone_is_nowhere(home: Path) -> None:
    """By each way an exception may come."""
    taken: list[Fault] = []
    hooks = Hooks(Capture(taken.append, [applications.NAME]))
    error = raised("case:case_message")
    ways: list[Callable[[], object]] = [
        lambda: sys.excepthook(type(error), error, error.__traceback__),
        lambda: Capture(taken.append, [applications.NAME]).report(error),
    ]
    before, sys.excepthook = sys.excepthook, lambda *_: None
    hooks.install(threads=False, unraisable=False)
    try:
        for way in ways:
            way()
    finally:
        hooks.uninstall()
        sys.excepthook = before
    assert [fault.types for fault in taken] == [("ValueError",)] * 2
    assert all(MARK not in repr(fault) for fault in taken)
    assert MARK in str(home)


REPORTS = {
    # Packed by Briefcase, on Windows: Maradonna90/NewGAN-Manager 172
    "packed": r"""
Traceback (most recent call last):
  File "\app\examplemail\__main__.py", line 4, in <module>
    main().main_loop()
  File "\app_packages\toga\app.py", line 563, in main_loop
  File "\app\examplemail\case.py", line 53, in case_message
PermissionError: [Errno 13] Permission denied: 'C:\\Program Files\\zq7 Smith\\examplemail\\zq7.log'
""",
    # Compiled code and a group in a group, indented by another report: geldata/gel 6919
    "compiled": """
edgedb error: zq7
      + Exception Group Traceback (most recent call last):
      |   File "examplemail/case.pyx", line 863, in examplemail.case.case_group
      |     async with asyncio.TaskGroup() as zq7:
      |   File "/usr/lib/python3.12/asyncio/taskgroups.py", line 145, in __aexit__
      | ExceptionGroup: zq7 (1 sub-exception)
      +-+---------------- 1 ----------------
        | Traceback (most recent call last):
        |   File "examplemail/case.pyx", line 861, in examplemail.case.case_key
        |     1/0  # zq7
        | KeyError: 'zq7'
        +------------------------------------
""",
    # A password in the line of source: Karaage-Cluster/karaage 292, by mod_wsgi
    "server": """
[May 21 22:11:07] [wsgi:error] Traceback (most recent call last):
[May 21 22:11:07] [wsgi:error]   File "/opt/zq7/site-packages/flask/app.py", line 2292,
[May 21 22:11:07] [wsgi:error]   File "/home/zq7/examplemail/case.py", line 12, in case_key
[May 21 22:11:07] [wsgi:error]     return login(username=zq7, password="zq7")
[May 21 22:11:07] [wsgi:error] zq7_package.zq7_Error: zq7
""",
    # Folders that bear the name, a quotation mark: BEEmod/BEE2.4 1329, pyinstaller 7720
    "folders": r"""
> Traceback (most recent call last):
>   File "C:\zq7ba'ba'\.virtualenvs\examplemail\lib\site-packages\zq7\load.py", line 627, in zq7
>   File "C:\Users\zq7\.virtualenvs\examplemail\Lib\json\decoder.py", line 627, in decode
>   File "F:\Git\examplemail\src\examplemail\case.py", line 333, in case_number
> OSError: [WinError 1920] zq7: "C:\\Users\\zq7"
""",
    # Of faulthandler, which begins with the innermost
    "crash": """
Fatal Python error: Segmentation fault

Current thread 0x00007f9c zq7 (most recent call first):
  File "/home/zq7/.local/lib/python3.11/site-packages/zq7/view.py", line 9 in zq7
  File "/home/zq7/.local/lib/python3.11/site-packages/examplemail/case.py", line 9 in case_pickle
  File "/home/zq7/.local/lib/python3.11/site-packages/examplemail/helpers.py", line 4 in run_script
""",
}
EXPECTED = {
    "packed": ("PermissionError[EACCES]", ["examplemail.case:case_message"]),
    "compiled": ("ExceptionGroup", ["examplemail.case:case_group", "examplemail.case:case_key"]),
    "server": ("<other>", ["examplemail.case:case_key"]),
    "folders": ("OSError", ["examplemail.case:case_number"]),
    "crash": ("<other>", ["examplemail.helpers:run_script", "examplemail.case:case_pickle"]),
}


@pytest.mark.parametrize("name", REPORTS)
def test_j12_no_secret_of_a_report_on_the_web_is_in_what_is_read_of_it(name: str) -> None:
    (found,) = faults(REPORTS[name], OWN)
    require_public(found)
    assert (found.types[0], [*found.names]) == EXPECTED[name]
