"""The typed Python module of a product's declared statistics: a function for each, so that a type
checker finds a value that was never declared. Pure."""

from __future__ import annotations

import builtins
import keyword
import textwrap
from collections.abc import Iterator, Sequence

from mars.errors import ConfigError
from mars.wire.registry import BOOL, BUCKET, ENUM, Metric

_HEAD = '''\
"""The declared statistics of {product}: a function for each.

Written by "mars-motd generate" from metrics.toml; edit that. Give a function the
application's ``Mars.statistics`` and the value, or what is called for it when a report
is due.
"""
'''
_MARK = 'Written by "mars-motd generate"'
_PROTOCOL = '''\
class Statistics(Protocol):
    """``Mars.statistics``, as far as it is used here."""

    def provide(self, name: str, given: Any, /) -> Any: ...
'''
_TYPES = {BOOL: "bool", BUCKET: "int"}
_WIDTH = 84


def module(product: str, metrics: Sequence[Metric]) -> bytes:
    """The module's text, the same bytes for the same entries; what was withdrawn is not in it.

    Raises ``ConfigError`` (``name-clash``) where two functions would have one name.
    """
    live = [metric for metric in metrics if metric.withdrawn is None]
    named = list(zip(_names(product, live), live, strict=True))
    parts = [_HEAD.format(product=product), "from __future__ import annotations\n"]
    if named:
        literal = ", Literal" if any(metric.type == ENUM for metric in live) else ""
        imports = "from collections.abc import Callable\n"
        parts += [f"{imports}from typing import Any{literal}, Protocol\n"]
    text = "\n".join(parts)
    blocks = [_PROTOCOL, *(block for name, metric in named for block in _entry(name, metric))]
    return "\n\n".join([text, *(blocks if named else [])]).encode("utf-8")


def require_ours(data: bytes) -> None:
    """Raises ``ConfigError`` (``out-invalid``) where ``data`` is no such module."""
    if _MARK.encode() not in data[:400]:
        raise ConfigError("out-invalid", "This is no module that mars-motd generate wrote.")


def _names(product: str, metrics: Sequence[Metric]) -> list[str]:
    """Of the product's own entries the key, of others ``project_key``."""
    found: dict[str, Metric] = {}
    for metric in metrics:
        own = metric.project == product
        name = metric.key if own else f"{metric.project}_{metric.key}".replace("-", "_")
        if keyword.iskeyword(name) or hasattr(builtins, name) or not name.isidentifier():
            name = f"{name}_" if not name[0].isdigit() else f"_{name}"
        if name in found:
            raise ConfigError(
                "name-clash",
                f"{found[name].name} and {metric.name} would both be the function {name}: give one "
                f"of them another key.",
            )
        found[name] = metric
    return list(found)


def _entry(name: str, metric: Metric) -> Iterator[str]:
    """The type of its values where they are named, and its function."""
    kind = _TYPES.get(metric.type, "str")
    if metric.type == ENUM:
        kind = "".join(word.capitalize() for word in name.split("_")) + "Value"
        values = "".join(f'    "{value}",\n' for value in metric.values)
        yield f"{kind} = Literal[\n{values}]\n"
    said = _docstring(metric)
    given = f"    statistics: Statistics,\n    value: {kind} | Callable[[], {kind}],\n"
    call = f'    statistics.provide("{metric.name}", value)\n'
    yield f"def {name}(\n{given}) -> None:\n{said}{call}"


def _docstring(metric: Metric) -> str:
    """Its texts as they stand, in a form that cannot end the string."""
    lines = [metric.label, "", metric.description, "", metric.reason]
    wrapped = [_wrapped(line) for line in lines]
    return f'    """{wrapped[0].strip()}\n' + "\n".join(wrapped[1:]) + '\n    """\n'


def _wrapped(text: str) -> str:
    plain = "".join(it if it.isprintable() else " " for it in text)
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    indent = "    "
    return textwrap.fill(
        escaped, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False
    )
