"""Tracebacks in the shapes that other reporters test with: of satyr, Apport and FAF, built anew."""

from __future__ import annotations

import pytest

from mars.faults.own import Own
from mars.faults.text import faults
from tests import applications

OWN = Own([applications.NAME])


def told(text: str, own: Own = OWN) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    return [(fault.types, fault.names) for fault in faults(text, own)]


def traceback(end: str, *places: tuple[str, str], line: int = 1) -> str:
    frames = (
        f'  File "{path}", line {line + at}, in {name}\n' for at, (path, name) in enumerate(places)
    )
    return "".join(("Traceback (most recent call last):\n", *frames, end, "\n"))


def test_of_a_product_in_several_folders_the_installed_one_is_taken() -> None:
    installed = "/usr/lib/python3/site-packages/examplemail"
    text = traceback(
        "AttributeError: 'NoneType' object has no attribute 'start'",
        ("/usr/share/Kit/helpers/examplemail/backend.py", "run"),
        (f"{installed}/__init__.py", "process"),
        (f"{installed}/plugins.py", "run"),
        ("/usr/lib/examplemail-plugins/refresh.py", "hook"),
        ("/usr/lib/python3/site-packages/grabber/progress.py", "start"),
    )
    names = ("examplemail:process", "examplemail.plugins:run")
    assert told(text) == [(("AttributeError",), names)]


def test_what_is_typed_and_evaluated_is_not_named_and_what_it_calls_is() -> None:
    """With carets, and with the variables of a frame after the end."""
    text = traceback(
        "    0/0\n    ~^~\nZeroDivisionError: division by zero\n\n"
        "Local variables in innermost frame:\npassword: 'hunter2'\n__file__: '/usr/bin/hunter2'",
        ("<stdin>", "<module>"),
        ("./examplemail/test.py", "<lambda>"),
        ("./examplemail/test.py", "f"),
        ("<string>", "<module>"),
    )
    names = ("examplemail.test:<lambda>", "examplemail.test:f")
    assert told(text) == [(("ZeroDivisionError",), names)]


@pytest.mark.parametrize("top", ["/usr/bin/hunter2", "/home/hunter2/print.py"])
def test_source_that_does_not_parse_and_no_frame_of_ours_is_no_fault(top: str) -> None:
    end = f'  File "{top}", line 43\n    print x\n          ^\nSyntaxError: invalid syntax'
    assert told(traceback(end)) == []
    assert told(traceback(end, ("/usr/bin/hunter2", "<module>"))) == []


def test_a_script_is_known_by_its_file_and_not_by_its_folder() -> None:
    paths = ("/usr/bin/examplemail.py", "/tmp/hunter2/examplemail.py", "./examplemail.py")
    found = [told(traceback("KeyError: 'hunter2'", (path, "main"))) for path in paths]
    assert found == [[(("KeyError",), ("examplemail:main",))]] * 3
    assert told(traceback("KeyError: 1", ("/usr/bin/another.py", "main"))) == []


@pytest.mark.parametrize(
    ("end", "type_"),
    [
        ("PermissionError: [Errno 13] hunter2", "PermissionError[EACCES]"),
        ("OSError: [Errno 99999] hunter2", "OSError"),
        ("OSError: hunter2", "OSError"),
        ("OSError", "OSError"),
    ],
)
def test_a_number_that_somebody_knows_is_named(end: str, type_: str) -> None:
    found = told(traceback(end, ("/opt/examplemail/store.py", "load")))
    assert found == [((type_,), ("examplemail.store:load",))]


def test_a_console_tells_nothing() -> None:
    text = '>>> int("hunter2")\n' + traceback("ValueError: hunter2", ("<stdin>", "<module>"))
    assert told(text) == []


def test_other_lines_and_another_folder_are_one_fault() -> None:
    places = [("engine/db.py", "check"), ("engine/table.py", "look"), ("engine/table.py", "key")]
    one, other = (
        traceback("TypeError", *((f"{at}/{file}", name) for file, name in places), line=line)
        for at, line in (("/usr/share/example-table", 947), ("/home/hunter2/x", 1020))
    )
    engine = Own(["engine"])
    assert told(one, engine) == told(other, engine) != []
    assert told(one, Own(["example-table"])) == []  # a hyphen names no module
