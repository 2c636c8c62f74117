"""An application with faults of every shape, in the words of Python 3.8, and its captures."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mars.faults.own import Own
from mars.wire.reports.fault import Fault
from tests import applications

SECRET = "hunter2"
OWN = Own([applications.NAME])
FILES = {
    "examplemail/deep/store.py": """
import asyncio
import contextlib
import functools


class StoreError(Exception):
    class Missing(Exception):
        pass


def read(name):
    return {"a": 1}[name]


def traced(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper


@contextlib.contextmanager
def told():
    try:
        yield
    except ValueError as error:
        raise StoreError("hunter2") from error


class Store:
    def load(self, name):
        try:
            return [read(each) for each in [name]]
        except KeyError as error:
            raise StoreError(f"no {name}") from error

    @traced
    def parse(self, text):
        with told():
            return self.number(text)

    @traced
    def guess(self, text):
        with told():
            return self.date(text)

    def number(self, text):
        return int(text)

    def date(self, text):
        return list(map(lambda it: int(it), text.split("-")))

    def size(self, tree):
        return 1 + sum(self.size(each) for each in tree)

    async def fetch(self, name):
        await asyncio.sleep(0)
        raise self.missing(name)

    @staticmethod
    def missing(name):
        return StoreError.Missing(name)
""",
    "examplemail/faults.py": """
import asyncio
import json

from examplemail.deep.store import Store


def chained():
    Store().load("hunter2")


def handled():
    try:
        Store().number("hunter2")
    except ValueError:
        [].pop()


def helped_number():
    Store().parse("hunter2")


def helped_date():
    Store().guess("2026-hunter2")


def ping(n):
    return pong(n + 1)


def pong(n):
    return ping(n + 1)


def recursion():
    ping(0)


def opened():
    open("/home/hunter2/examplemail/secret.txt")


def decoded():
    json.loads("{hunter2")


def generated():
    return sum(1 // each for each in (1, 0))


def awaited():
    asyncio.run(Store().fetch("hunter2"))


def full():
    raise OSError(28, "hunter2")


NAMES = (
    "chained", "handled", "helped_number", "helped_date", "recursion",
    "opened", "decoded", "generated", "awaited", "full",
)
""",
    "examplemail/groups.py": """
from examplemail import faults


def group():
    errors = []
    for name in ("decoded", "chained", "decoded"):
        try:
            getattr(faults, name)()
        except Exception as error:
            errors.append(error)
    raise ExceptionGroup("hunter2", [ValueError("hunter2"), ExceptionGroup("hunter2", errors)])


def caught():
    try:
        group()
    except Exception as error:
        raise KeyError("hunter2") from error


NAMES = ("group", "caught")
""",
}
MAIN = """
import sys, traceback
from examplemail import faults
modules = [faults]
if sys.version_info >= (3, 11):
    from examplemail import groups
    modules.append(groups)
for module in modules:
    for name in module.NAMES:
        print("# " + name)
        try:
            getattr(module, name)()
        except Exception:
            traceback.print_exc(file=sys.stdout)
"""


@contextmanager
def failing(folder: Path) -> Iterator[dict[str, Exception]]:
    """What each of the application's faults raises, by its name."""
    with applications.imported(folder, FILES):
        yield dict(_raised())


def _raised() -> Iterator[tuple[str, Exception]]:
    for name in ("faults", "groups"):
        module = importlib.import_module(f"{applications.NAME}.{name}")
        for each in module.NAMES:
            try:
                getattr(module, each)()
            except Exception as error:  # noqa: BLE001 - each raises its own
                yield each, error


def sections(text: str) -> dict[str, str]:
    """The tracebacks that ``MAIN`` printed, by the names of their faults."""
    parts = (part.partition("\n") for part in text.split("# ")[1:])
    return {name: traceback for name, _, traceback in parts}


def words(fault: Fault) -> str:
    return fault.body.decode()
