"""What of an exception is the application's own and may thus be named: modules and types.

Nothing is named because of what it says of itself. A module is the application's where it was
imported under its name, from a file below the folder of one of its packages; a plug-in that its
user wrote is not, whatever name it was loaded by. A type is named where its module has it under its
name; code and types of the application's only by names that the module was compiled with, since
those of what was made while the program ran are made of anything. No code of the exception's is
run: what is looked up is looked up as the interpreter does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Mapping
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any, NamedTuple, TypeGuard

from mars.wire.reports.fault import OTHER

MAIN = "__main__"
MODULE = "<module>"
"""The name of code at the top of a module."""
_SEPARATOR = re.compile(r"[\\/]")
_PYTHON = re.compile(r"\.py\w?$")
_PYTHONS = sys.stdlib_module_names | {"builtins"}
_names_of = vars(ModuleType)["__dict__"].__get__
_bases_of = type.__dict__["__mro__"].__get__
_says_module = type.__dict__["__module__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_members_of = type.__dict__["__dict__"].__get__


class At(NamedTuple):
    """A module by its file."""

    module: str
    entry: str
    """Which of the application's modules has it."""
    root: str
    """The folder that has that; empty where the path begins with it."""
    is_folder: bool
    """Whether that is a folder and no single file."""


class Own:
    """The application's modules: each a dotted name, with all below it; ``__main__`` is a script
    that belongs to no package."""

    def __init__(self, modules: Collection[str]) -> None:
        self.modules = tuple(name for name in modules if _is_text(name) and name)
        self._compiled: dict[tuple[str, object], frozenset[str]] = {}

    def entry(self, name: str) -> str | None:
        """Which of ``modules`` has the module of that name."""
        found = (it for it in self.modules if name == it or name.startswith(f"{it}."))
        return next(found, None)

    def module(self, names: dict[str, Any]) -> str | None:
        """The module with these globals, or None of one that is not the application's.

        What ``python -m`` runs bears the name that it is imported by.
        """
        name = _plain(dict.items(names), "__name__")  # what code ran in may be a kind of dict
        if not _is_text(name) or _names(name) is not names:
            return None
        spec = names.get("__spec__")
        imported = spec.name if type(spec) is ModuleSpec and _is_text(spec.name) else MAIN
        if imported != name != MAIN:
            return None
        entry = self.entry(imported)
        return imported if entry is not None and _lies_in(entry, imported, names) else None

    def at(self, path: str) -> At | None:
        """What some computer has at ``path``: the module by what follows the last folder that is
        named like one of ``modules``; without such a folder, the Python file of that name."""
        names = parts(path)
        found = self._last(names[:-1], names)
        if found is None and _PYTHON.search(path):
            found = self._last(names, names)
        return found

    def _last(self, among: list[str], names: list[str]) -> At | None:
        for start in reversed(range(len(among))):
            for entry in self.modules:
                if among[start : start + entry.count(".") + 1] == entry.split("."):
                    module, root = _dotted(names[start:]), "/".join(names[:start])
                    return At(module, entry, root, among is not names) if module else None
        return None

    def frame(self, code: CodeType, names: dict[str, Any]) -> str:
        """``module:qualname``, or ``<other>``.

        Code that was compiled from a text is ``<other>``, in whatever module it ran and whatever
        file it names. So is the top of what ``python -m`` runs: in a frozen program there is none.
        """
        module = self.module(names)
        if not (_is_text(code.co_name) and _is_text(code.co_qualname)):
            return OTHER  # a kind of text might be equal to one name and be told as another
        if module is None or (code.co_name == MODULE and names["__name__"] == MAIN != module):
            return OTHER
        where = parts(names["__file__"])[-1:] if module == MAIN else module.split(".")
        fits = parts(code.co_filename)[-len(where) :] == where
        fits = fits and self._has_compiled(module, names, code.co_qualname)
        return f"{module}:{code.co_qualname}" if fits else OTHER

    def type(self, cls: type) -> str:
        """``module.qualname``, of what is built in the latter alone; ``<other>`` for a type of a
        library's. Of one that its module does not have, as one made in a function, its base."""
        for each in _bases_of(cls):
            module = _module_of(each)
            names = _names(module) if _is_text(module) else None
            if names is None:
                return OTHER
            own = self.module(names)
            if own is None and module.partition(".")[0] not in _PYTHONS:
                return OTHER
            if _has(names, each):
                name = _qualname_of(each)
                if own is None or self._has_compiled(own, names, name):
                    return _called(own or module, name)
        return OTHER

    def _has_compiled(self, module: str, names: dict[str, Any], qualname: str) -> bool:
        """Whether code of the module bears that name as its loader has it. A module without such
        code, as what Cython or Nuitka made, is believed; one whose file is gone is not."""
        key = module, names.get("__file__")
        if key not in self._compiled:
            spec = names.get("__spec__")
            loader = names.get("__loader__") if spec is None else spec.loader
            try:
                found = _compiled(loader, names["__name__"] if spec is None else spec.name)
            except (ImportError, OSError, SyntaxError):
                return False
            if found is None:
                return True
            self._compiled[key] = found
        return qualname in self._compiled[key]


def raw_names(cls: type) -> list[str]:
    """A type and its bases by the names they go by, for rules on this computer alone."""
    found = [(_module_of(each), _qualname_of(each)) for each in _bases_of(cls)]
    return [_called(*each) for each in found if all(map(_is_text, each))]


def top_package(names: Mapping[str, Any]) -> tuple[str, ...]:
    """``modules`` for an application that names none: the package of the module with these
    globals, or ``__main__``."""
    name, package = names.get("__name__"), names.get("__package__")
    known = package if _is_text(package) and package else name
    return (known.partition(".")[0],) if _is_text(known) and known else ()


def parts(path: str) -> list[str]:
    """A path of any system as the names of folders and module, without its ending."""
    *folders, file = _SEPARATOR.split(path)
    stem = file.partition(".")[0]
    return folders if stem == "__init__" else [*folders, stem]


def _dotted(names: list[str]) -> str | None:
    """The module of folders and a file, the first of them the application's; None of Python's own
    in an environment that is named like it, which has them in ``lib`` on Windows."""
    _, *rest = map(str.lower, names)
    if rest[:1] == ["lib"] and {*rest[1:2]} & sys.stdlib_module_names:
        return None
    return ".".join(names) if all(map(str.isidentifier, names)) else None


def _compiled(loader: object, name: str) -> frozenset[str] | None:
    """Qualified names of the code of a module and of all within it; None where it has none. They
    come from where the module came from, mostly a file."""
    get_code = getattr(loader, "get_code", None)
    code = None if get_code is None else get_code(name)
    if code is None:
        return None
    found, left = set[str](), [code]
    while left:
        code = left.pop()
        found.add(code.co_qualname)
        left += (it for it in code.co_consts if type(it) is CodeType)
    return frozenset(found)


def _lies_in(entry: str, name: str, names: Mapping[str, Any]) -> bool:
    """Whether the file of the module ``name`` is where the package ``entry`` has its modules."""
    file = names.get("__file__")
    if not _is_text(file):
        return False
    if name == MAIN:
        return True
    home = (_names(entry) or {}).get("__path__")
    if home is None:
        return name == entry
    tail = name.split(".")[len(entry.split(".")) :]
    folders = [it for it in tuple(home) if _is_text(it) and file.startswith(it)]
    return any(parts(file[len(it) :].lstrip("\\/")) == tail for it in folders)


def _has(names: Mapping[str, Any], cls: type) -> bool:
    """Whether what bears the type's name among ``names`` is that type."""
    qualname = _qualname_of(cls)
    if not _is_text(qualname):
        return False
    found: Any = None
    for name in qualname.split("."):
        found = names.get(name)
        if not issubclass(type(found), type):
            return False
        names = _members_of(found)
    return found is cls


def _names(module: str) -> dict[str, Any] | None:
    """The globals of an imported module."""
    found = sys.modules.get(module)
    names: dict[str, Any] | None = None
    if issubclass(type(found), ModuleType):
        names = _names_of(found)
    return names


def _module_of(cls: type) -> Any:
    """What a type says of its module; None of one with a member that is named by a kind of text,
    since the lookup would ask that whether it is the one."""
    return _says_module(cls) if all(map(_is_text, _members_of(cls))) else None


def _plain(items: Iterable[tuple[str, Any]], name: str) -> Any:
    """The value of ``name``; a lookup would ask a kind of text among the keys."""
    return next((value for key, value in items if _is_text(key) and key == name), None)


def _called(module: str, qualname: str) -> str:
    return qualname if module == "builtins" else f"{module}.{qualname}"


def _is_text(value: object) -> TypeGuard[str]:
    """Whether it is a ``str`` and no kind of it, which might answer as it likes."""
    return type(value) is str
