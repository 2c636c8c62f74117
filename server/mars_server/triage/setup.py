"""What triage works with, from the operator's files: product, lists, rules, keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from mars.wire.product import Product
from mars.wire.reports.recipient import Recipient
from mars_server.common.config import load_product, read
from mars_server.common.jsontext import from_base64
from mars_server.counting.intake_keys import Ask, load_all
from mars_server.triage.grouping import Lists
from mars_server.triage.opening import Opening
from mars_server.triage.rules import Rules

LISTS, RULES = "lists.toml", "rules.toml"
"""Files beside ``product.toml``."""


class Anywhere(frozenset[str]):
    """The servers of a product that names none: any may be meant. What is signed binds the
    release's key too, which triage alone has."""

    def __contains__(self, server: object) -> bool:
        return isinstance(server, str)


def hosts(product: Product, more: Sequence[str]) -> frozenset[str]:
    """Of the intakes."""
    named = (urlsplit(server).hostname or "" for server in product.servers)
    return frozenset((*named, *more)) or Anywhere()


def load_lists(product_file: Path, given: Path | None) -> Lists:
    """Those given, or beside the product's file, or ours. Raises ``ConfigError``
    (``lists-invalid``, ``lists-missing``, ``lists-unreadable``)."""
    path = given or product_file.with_name(LISTS)
    if given is None and not path.exists():
        data = files("mars_server.triage").joinpath(LISTS).read_bytes()
        return Lists.parse(data, LISTS)
    return Lists.parse(read(path, "The lists", "lists"), str(path))


def load_rules(product_file: Path, given: Path | None) -> Rules:
    """Those given, or beside the product's file, or none. Raises ``ConfigError``
    (``rules-invalid``, ``rules-missing``, ``rules-unreadable``), and as ``load_product``."""
    path = given or product_file.with_name(RULES)
    if given is None and not path.exists():
        load_product(product_file)  # a misspelt name must not look like no rules
        return Rules()
    return Rules.parse(read(path, "The rules", "rules"), str(path))


def load_opening(
    product_file: Path, keys: Iterable[str | Path], servers: Sequence[str], passphrase: Ask
) -> Opening:
    """Raises as ``load_product`` and ``load_all``."""
    product, held = load_product(product_file), load_all(keys, passphrase)
    whose = product.product, product.channel
    recipient = Recipient(*whose, hosts(product, servers), held.releases, from_base64)
    return Opening(held, recipient, product.reports_releases)
