"""The typed Python module of what a product declares: a function for each statistic and an enum for
each domain of error events, so that a type checker finds what was never declared, and a cause that
a mapping forgot. Pure."""

from __future__ import annotations

import builtins
import keyword
import textwrap
from collections.abc import Iterator, Mapping

from mars.errors import ConfigError
from mars.wire.catalogue import Catalogue
from mars.wire.events import Dimension, Domain, ErrorName
from mars.wire.registry import BOOL, BUCKET, ENUM, Metric

_HEAD = '''\
"""The declared statistics and error events of {product}.

Written by "mars-motd generate" from metrics.toml and errors.toml; edit these. The
function of a statistic takes the application's ``Mars.statistics`` and the value, or what
is called for it when a report is due. The causes of a domain are an enum, for
``mars.failures(domain).fail``; one with dimensions has a function, which takes that stream.
"""
'''
_MARK = 'Written by "mars-motd generate"'
_STATISTICS = '''\
class Statistics(Protocol):
    """``Mars.statistics``, as far as it is used here."""

    def provide(self, name: str, given: Any, /) -> Any: ...
'''
_FAILURES = '''\
class Failures(Protocol[Failed]):
    """``Mars.failures(domain)``, as far as it is used here."""

    def fail(self, cause: str, /, subject: Any = ..., **dimensions: Any) -> Failed: ...
'''
_FAILED = 'Failed = TypeVar("Failed", covariant=True)\n'
_TAKEN = frozenset(
    "Any Callable Failed Failures Literal Protocol Statistics StrEnum TypeVar".split()
)
_TYPES = {BOOL: "bool", BUCKET: "int"}
_WIDTH = 84


def module(declared: Catalogue) -> bytes:
    """The module's text, the same bytes for the same entries; what was withdrawn is not in it.

    Raises ``ConfigError`` (``name-clash``) where two functions or classes would have one name.
    """
    metrics = [metric for metric in declared.metrics if metric.withdrawn is None]
    own = {metric.name: _function(declared.product, metric) for metric in metrics}
    domains = [(domain, names) for domain in declared.domains if (names := _live(domain))]
    causes = {
        f"{domain.name}/{name.name}": f"{domain.name}_{name.name}"
        for domain, names in domains
        for name in names
        if name.dimensions
    }
    functions = _names({**own, **causes})
    enums = {metric.name: f"{functions[metric.name]}_value" for metric in metrics if metric.values}
    classes = {name: _camel(plain) for name, plain in enums.items()}
    classes = _names({**classes, **{domain.name: _camel(domain.name) for domain, _ in domains}})
    blocks = [_entry(functions[it.name], classes.get(it.name, ""), it) for it in metrics]
    blocks += [_domain(functions, classes, domain, names) for domain, names in domains]
    told = [it for _, names in domains for name in names for it in name.dimensions]
    named = any(it.values for it in metrics) or any(it.values for it in told)
    head = _head(declared.product, bool(metrics), bool(domains), bool(causes), named)
    return "\n\n".join([*head, *(part for block in blocks for part in block)]).encode("utf-8")


def require_ours(data: bytes) -> None:
    """Raises ``ConfigError`` (``out-invalid``) where ``data`` is no such module."""
    if _MARK.encode() not in data[:400]:
        raise ConfigError("out-invalid", "This is no module that mars-motd generate wrote.")


def _live(domain: Domain) -> list[ErrorName]:
    return [name for name in domain.names if name.withdrawn is None]


def _head(
    product: str, statistics: bool, enums: bool, dimensions: bool, named: bool
) -> Iterator[str]:
    """What stands above: imports, and the types of what the functions are given."""
    given = statistics or dimensions
    names = {"Any": given, "Literal": named, "Protocol": given, "TypeVar": dimensions}
    typing = ", ".join(name for name, needed in names.items() if needed)
    imports = ["from collections.abc import Callable\n"] if statistics else []
    imports += ["from enum import StrEnum\n"] if enums else []
    imports += [f"from typing import {typing}\n"] if typing else []
    parts = [_HEAD.format(product=product), "from __future__ import annotations\n"]
    parts += ["".join(imports)] if imports else []
    yield "\n".join([*parts, _FAILED] if dimensions else parts)
    if statistics:
        yield _STATISTICS
    if dimensions:
        yield _FAILURES


def _function(product: str, metric: Metric) -> str:
    """Of the product's own entries the key, of others ``project_key``."""
    own = metric.project == product
    name = metric.key if own else f"{metric.project}_{metric.key}".replace("-", "_")
    if keyword.iskeyword(name) or hasattr(builtins, name) or not name.isidentifier():
        name = f"{name}_" if not name[0].isdigit() else f"_{name}"
    return name


def _names(wanted: Mapping[str, str]) -> dict[str, str]:
    """The name in the module of each entry, domain or cause."""
    found: dict[str, str] = {}
    for entry, name in wanted.items():
        if name in found:
            raise ConfigError(
                "name-clash",
                f"{found[name]} and {entry} would both be {name} in the module: give one of them "
                f"another name.",
            )
        found[name] = entry
    return dict(wanted)


def _camel(name: str) -> str:
    plain = "".join(word.capitalize() for word in name.split("_"))
    return f"_{plain}" if plain[0].isdigit() or plain in _TAKEN else plain


def _entry(name: str, values: str, metric: Metric) -> Iterator[str]:
    """The type of its values where they are named, and its function."""
    kind = values if metric.type == ENUM else _TYPES.get(metric.type, "str")
    if metric.type == ENUM:
        yield f"{kind} = {_literal(metric.values)}\n"
    said = _docstring("    ", metric.label, metric.description, metric.reason)
    given = f"    statistics: Statistics,\n    value: {kind} | Callable[[], {kind}],\n"
    call = f'    statistics.provide("{metric.name}", value)\n'
    yield f"def {name}(\n{given}) -> None:\n{said}{call}"


def _domain(
    functions: Mapping[str, str], classes: Mapping[str, str], domain: Domain, names: list[ErrorName]
) -> Iterator[str]:
    """Its causes, and a function for each that has dimensions."""
    kind = classes[domain.name]
    about = _docstring("    ", domain.description or f"Causes of failures in {domain.name}.")
    members = (
        f'    {name.name.upper()} = "{name.name}"\n{_docstring("    ", name.description)}'
        for name in names
    )
    yield f"class {kind}(StrEnum):\n{about}\n{''.join(members)}"
    for name in names:
        if name.dimensions:
            function = functions[f"{domain.name}/{name.name}"]
            yield _cause(function, f"{kind}.{name.name.upper()}", name)


def _cause(function: str, cause: str, name: ErrorName) -> str:
    given = "".join(f"    {_argument(it)}: {_kind(it)},\n" for it in name.dimensions)
    head = f"    stream: Failures[Failed],\n    subject: Any = None,\n    *,\n{given}"
    handed = ", ".join(map(_handed, name.dimensions))
    call = f"    return stream.fail({cause}, subject, {handed})\n"
    return f"def {function}(\n{head}) -> Failed:\n{_docstring('    ', name.description)}{call}"


def _argument(dimension: Dimension) -> str:
    clashes = keyword.iskeyword(dimension.name) or dimension.name == "stream"
    return f"{dimension.name}_" if clashes else dimension.name


def _handed(dimension: Dimension) -> str:
    name, argument = dimension.name, _argument(dimension)
    return f'**{{"{name}": {argument}}}' if keyword.iskeyword(name) else f"{name}={argument}"


def _kind(dimension: Dimension) -> str:
    return _literal(dimension.values, "        ", "    ") if dimension.values else "bool"


def _literal(values: tuple[str, ...], indent: str = "    ", end: str = "") -> str:
    return "Literal[\n" + "".join(f'{indent}"{value}",\n' for value in values) + f"{end}]"


def _docstring(indent: str, *texts: str) -> str:
    """Texts as they stand, in a form that cannot end the string; several lines where needed."""
    lines = [_wrapped(indent, text) for text in texts]
    if len(lines) == 1 and "\n" not in lines[0]:
        return f'{indent}"""{lines[0].strip()}"""\n'
    return f'{indent}"""{lines[0].strip()}\n' + _paragraphs(lines[1:]) + f'{indent}"""\n'


def _paragraphs(lines: list[str]) -> str:
    return "".join(f"\n{line}\n" for line in lines)


def _wrapped(indent: str, text: str) -> str:
    plain = "".join(it if it.isprintable() else " " for it in text)
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return textwrap.fill(
        escaped, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False
    )
