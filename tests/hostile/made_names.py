"""More of ``secrets_app``: names that a program makes of what nobody may learn, while it runs.

Every secret holds its ``MARK``. ``BELIEVED`` are those whose printed traceback has nothing by which
such a name could be told from one that stands in the source.
"""

from __future__ import annotations

BELIEVED = (
    "case_registered_type",
    "case_registered_group",
    "case_registered_type_within_a_type",
    "case_type_of_a_rule",
    "case_renamed_code",
    "case_rule_that_names_our_file",
    "case_rule_in_a_copy_of_our_names",
    "case_module_made_here",
    "case_zip_file_of_the_user",
    "case_folder_of_the_user",
)
MADE = """
import asyncio, collections, dataclasses, enum, functools, os, runpy, sys, tempfile, types, typing
import zipfile
from pathlib import Path

import examplemail

SECRET = "zq7_secret"
RULE = "def zq7_rule():\\n    raise ValueError('zq7')\\nzq7_rule()\\n"
TYPE = "class zq7_error(Exception):\\n    pass\\nraise zq7_error('zq7')\\n"


class AppError(Exception):
    pass


class Registry:
    pass


class Lying(type):
    __name__ = __module__ = property(lambda cls: SECRET)

    def __getattribute__(cls, name):
        return SECRET if name.startswith("__") else super().__getattribute__(name)


class Told(str):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return hash("examplemail.made")

    def startswith(self, *told):
        return True

    partition = rpartition = lambda self, by: ("examplemail", by, SECRET)


def registered(name, bases, where, **told):
    made = type(name, bases, {"__module__": __name__, **told})
    setattr(where, name, made)
    return made


def here():
    return sys.modules[__name__]


def case_registered_type(): raise registered(SECRET, (AppError,), here())("zq7")
def case_registered_group(): raise registered(SECRET, (ExceptionGroup,), here())("zq7", [OSError()])
def case_registered_cause(): raise AppError from registered(SECRET, (KeyError,), here())("zq7")
def case_registered_type_within_a_type():
    raise registered(SECRET, (AppError,), Registry, __qualname__=f"Registry.{SECRET}")("zq7")
def case_type_of_a_rule(): exec(TYPE, globals())
def case_lying_type(): raise Lying("zq7_error", (AppError,), {})("zq7")
def case_lying_module(): raise type("E", (Exception,), {"__module__": Told("zq7_module")})("zq7")


def case_renamed_code():
    def work():
        raise AppError("zq7")

    work.__code__ = work.__code__.replace(co_name=SECRET, co_qualname=SECRET)
    work()


def case_rule_that_names_our_file(): exec(compile(RULE, __file__, "exec"), globals())
def case_rule_in_a_copy_of_our_names():
    exec(compile(RULE, __file__, "exec"), {**globals(), "__name__": "examplemail.zq7"})


def case_module_made_here():
    made = types.ModuleType(f"examplemail.{SECRET}")
    made.__file__ = str(Path(__file__).with_name(f"{SECRET}.py"))
    sys.modules[made.__name__] = made
    exec(compile(RULE, made.__file__, "exec"), made.__dict__)


def case_zip_file_of_the_user():
    with tempfile.TemporaryDirectory(prefix="zq7-home-") as folder:
        path = os.path.join(folder, "examplemail.zip")
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("examplemail/zq7_zip.py", RULE.rpartition("zq7_rule()")[0])
        examplemail.__path__.append(os.path.join(path, "examplemail"))
        import examplemail.zq7_zip
        examplemail.zq7_zip.zq7_rule()


def case_folder_of_the_user():
    with tempfile.TemporaryDirectory(prefix="zq7-home-") as folder:
        Path(folder, "zq7_folder.py").write_text(RULE.rpartition("zq7_rule()")[0])
        examplemail.__path__.append(folder)
        import examplemail.zq7_folder
        examplemail.zq7_folder.zq7_rule()


def case_script_under_our_name():
    with tempfile.TemporaryDirectory(prefix="zq7-home-") as folder:
        path = Path(folder, "made.py")
        path.write_text(RULE)
        runpy.run_path(str(path), run_name="examplemail.made")


def case_windows_file():
    exec(compile(RULE, "C:\\\\Users\\\\zq7\\\\zq7_rules.py", "exec"), globals())
def case_named_tuple(): collections.namedtuple(SECRET, ["zq7_field"])(1, 2)
def case_typed_tuple(): typing.NamedTuple(SECRET, [("zq7_field", int)])(1, 2)
def case_made_dataclass(): dataclasses.make_dataclass(SECRET, [("zq7_field", int)])(1, 2)
def case_frozen_dataclass():
    dataclasses.make_dataclass(SECRET, ["zq7_field"], frozen=True)(1).zq7_field = 2
def case_member_of_an_enumeration(): enum.Enum(SECRET, {SECRET: 1})[f"{SECRET}_2"]
def case_generic():
    class Box(typing.Generic[typing.TypeVar(SECRET)]): pass
    Box[int, SECRET]
def case_frozen_module(): __import__("zipimport.zq7_module")


def case_parametrised_test():
    def test(value=SECRET):
        raise AppError(value)

    test.__name__ = test.__qualname__ = f"test[{SECRET}]"
    functools.partial(test, SECRET)()


def case_named_lambda():
    work = lambda: {}[SECRET]
    work.__name__ = work.__qualname__ = SECRET
    work()


def case_asynchronous_generator():
    async def numbers():
        yield 1
        raise AppError(SECRET)

    async def main():
        made = numbers()
        made.__name__ = made.__qualname__ = SECRET
        async for _ in made:
            pass

    asyncio.run(main())


class number(int):
    __repr__ = __str__ = lambda self: SECRET


def case_lying_number(): raise OSError(number(2), SECRET)
"""
