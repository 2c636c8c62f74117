"""What is told of an exception: which types, which frames, in which order."""

from __future__ import annotations

import importlib
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from mars.faults.own import Own, top_package
from mars.faults.walk import MAX_LOOKED, fault_of, folded
from mars.wire.reports.fault import MAX_TYPES, OTHER
from tests import applications
from tests.mars.faults import kit

OWN = Own([__name__])


class OwnError(Exception):
    class Inner(Exception):
        pass


class OwnSystemError(OSError):
    pass


def types(error: BaseException, own: Own = OWN) -> tuple[str, ...]:
    return fault_of(error, own).types


def caught(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as found:  # noqa: BLE001 - of any kind
        return found


def test_types_by_the_names_their_modules_have_them_under() -> None:
    class Local(OwnError):
        pass

    made = type("hunter2", (OwnError.Inner,), {"__module__": __name__})
    lies = type("JSONDecodeError", (ValueError,), {"__module__": "json.decoder"})
    foreign = type("hunter2", (ValueError,), {"__module__": "hunter2"})
    for error, name in (
        (ValueError(), "ValueError"),
        (OwnError(), f"{__name__}.OwnError"),
        (OwnError.Inner(), f"{__name__}.OwnError.Inner"),
        (Local(), f"{__name__}.OwnError"),
        (made(), f"{__name__}.OwnError.Inner"),
        (lies(), "ValueError"),
        (foreign(), OTHER),
        (subprocess.CalledProcessError(1, "hunter2"), "subprocess.CalledProcessError"),
        (pytest.UsageError(), OTHER),
    ):
        assert types(error) == (name,)


def test_numbers_of_the_systems_errors() -> None:
    for error, name in (
        (FileNotFoundError(2, "hunter2"), "FileNotFoundError[ENOENT]"),
        (OSError(28, "hunter2"), "OSError[ENOSPC]"),
        (OSError("hunter2"), "OSError"),
        (OSError(99_999, "hunter2"), "OSError"),
        (OwnSystemError(13, "hunter2"), f"{__name__}.OwnSystemError[EACCES]"),
        (socket.gaierror(1, "hunter2"), "socket.gaierror"),
        (ValueError(2, "hunter2"), "ValueError"),
    ):
        assert types(error) == (name,)


def test_causes_and_what_was_handled_follow_as_python_prints_them() -> None:
    error = caught(OwnError(), caught(KeyError(), ValueError()))
    assert types(error) == (f"{__name__}.OwnError", "KeyError", "ValueError")
    try:
        raise LookupError from None
    except LookupError as hidden:
        hidden.__context__ = ValueError()
        assert types(hidden) == ("LookupError",)


def test_members_of_a_group_are_told_once_in_an_order_of_their_own() -> None:
    many = [caught(kind()) for kind in (KeyError, ValueError, KeyError)]
    forth = ExceptionGroup("hunter2", [*many, ExceptionGroup("hunter2", [EOFError()])])
    back = ExceptionGroup("hunter2", [ExceptionGroup("hunter2", [EOFError()]), *many[::-1]])
    assert fault_of(forth, OWN) == fault_of(back, OWN)
    assert types(forth) == (
        "ExceptionGroup",
        "EOFError",
        "KeyError",
        "ValueError",
    )
    assert len(types(ExceptionGroup("", [ValueError()] * 10_000))) == 2


def test_an_own_frame_is_module_qualname_and_line_in_the_function(tmp_path: Path) -> None:
    with kit.failing(tmp_path) as raised:
        fault = fault_of(raised["helped_number"], kit.OWN)
    assert fault.frames == (
        *(f"examplemail.deep.store:{name}" for name in ("told+3", "Store.parse+3")),
        *(f"examplemail.deep.store:{name}" for name in ("Store.number+1",)),
        OTHER,
        "examplemail.faults:helped_number+1",
        "examplemail.deep.store:traced.<locals>.wrapper+2",
        "examplemail.deep.store:Store.parse+2",
        OTHER,
        "examplemail.deep.store:told+5",
    )


FILES = {
    "examplemail/mod.py": """
        def run(call):
            call()
    """,
    "elsewhere/tool.py": """
        def run(call):
            call()
    """,
}
HOSTS = {name: textwrap.dedent(source) for name, source in FILES.items()}
PLUGIN = textwrap.dedent(FILES["examplemail/mod.py"])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with applications.imported(tmp_path / "app", HOSTS):
        yield tmp_path


def frames(module: str) -> list[str]:
    """Of an exception that a module's ``run`` lets through."""

    def call() -> None:
        raise ValueError("hunter2")

    try:
        importlib.import_module(module).run(call)
    except ValueError as error:
        return [it for it in fault_of(error, kit.OWN).frames if it != OTHER]
    raise AssertionError


def plug_in(path: Path, name: str) -> str:
    """Loads a file as applications load their users' plug-ins, under a name of theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PLUGIN, "utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return name


@pytest.mark.usefixtures("folder")
def test_a_module_of_the_application_is_named_and_no_other() -> None:
    assert frames("examplemail.mod") == ["examplemail.mod:run+1"]
    assert frames("elsewhere.tool") == []


def test_what_a_user_wrote_is_not_named_whatever_it_is_called(folder: Path) -> None:
    app = folder / "app" / "examplemail"
    importlib.import_module("examplemail")
    assert frames(plug_in(folder / "home" / "divorce.py", "examplemail.divorce")) == []
    where = folder / "home" / "examplemail" / "plugins"
    assert frames(plug_in(where / "divorce.py", "examplemail.plugins.divorce")) == []
    assert frames(plug_in(app / "other.py", "examplemail.divorce")) == []
    assert frames(plug_in(app / "right.py", "examplemail.right")) == ["examplemail.right:run+1"]


@pytest.mark.usefixtures("folder")
def test_code_that_was_compiled_from_a_text_is_not_named() -> None:
    module = importlib.import_module("examplemail.mod")
    code = "def hunter2(call):\n    call()\nrun = hunter2\n"
    exec(compile(code, "<string>", "exec"), vars(module))
    assert frames("examplemail.mod") == []
    namespace = {"__name__": "examplemail.mod", "__file__": module.__file__}
    exec(compile(code, str(module.__file__), "exec"), namespace)
    vars(importlib.import_module("elsewhere.tool"))["run"] = namespace["run"]
    assert frames("elsewhere.tool") == []


@pytest.mark.parametrize("spelt", [("-m", "examplemail"), ("start.py",)])
def test_what_is_started_by_its_module_or_by_a_script_is_told_the_same(
    spelt: tuple[str, ...], tmp_path: Path
) -> None:
    """``__main__`` of a package bears the name that it is imported by, its top none; of a script
    nothing is told unless it is the application."""
    source = "def main():\n    raise ValueError\n"
    report = "import sys\nfrom mars.faults.own import Own, top_package\n"
    report += "from mars.faults.walk import fault_of\n"
    report += "def tell(error, modules):\n    print(*fault_of(error, Own(modules)).frames)\n"
    call = "try:\n    {}()\nexcept ValueError as error:\n    tell(error, {})\n"
    script = call.format("main", ["examplemail"]) + call.format("main", "top_package(globals())")
    applications.write(
        tmp_path,
        {
            "examplemail/__main__.py": f"{source}from examplemail.report import *\n"
            + call.format("main", "top_package(globals())"),
            "examplemail/report.py": report,
            "start.py": f"from examplemail.report import *\n{source}{script}",
        },
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, *spelt],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{root}:{tmp_path}"},
    )
    named = "<other> examplemail.__main__:main+1\n"
    bare = "<other>\n__main__:<module>+8 __main__:main+1\n"
    assert done.stdout == (named if "-m" in spelt else bare)


def test_the_default_is_the_callers_package() -> None:
    assert top_package({"__name__": "examplemail.ui", "__package__": "examplemail"}) == (
        "examplemail",
    )
    assert top_package({"__name__": "__main__", "__package__": "examplemail"}) == ("examplemail",)
    assert top_package({"__name__": "__main__", "__package__": None}) == ("__main__",)
    assert top_package({}) == ()


def test_recursion_is_told_the_same_wherever_its_limit_was(tmp_path: Path) -> None:
    with applications.imported(tmp_path, kit.FILES):
        app = importlib.import_module("examplemail.faults")
        found = set()
        for more in range(4):
            try:
                deeper(app.recursion, more)
            except RecursionError as error:
                found.add(fault_of(error, kit.OWN).signature)
    assert len(found) == 1


def deeper(call: object, more: int) -> None:
    if more:
        deeper(call, more - 1)
    assert callable(call)
    call()


def test_how_deep_a_tree_was_is_not_told_and_the_line_that_failed_is() -> None:
    short = folded(["m:walk+1", "m:each+2", "m:walk+9"], recursion=False)
    long = folded(["m:walk+1", "m:each+2"] * 5 + ["m:walk+9"], recursion=False)
    assert short == long == ["m:walk+9", "m:each+2", "m:walk+9"]


def test_chains_are_bounded() -> None:
    first = error = Exception()
    for number in range(10_000):
        error.__context__ = KeyError() if number % 2 else ValueError()
        error = error.__context__
    assert len(types(first)) == MAX_TYPES
    assert MAX_LOOKED < 10_000
