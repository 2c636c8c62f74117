"""``mars-server errors stats``, ``retain`` and ``status``: what leaves, and what goes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from mars.commandline import json_option
from mars.errors import naming
from mars.factory import system_chance
from mars.wire.ed25519 import public_key
from mars.wire.keys import TrustRoot
from mars_server.cli import options
from mars_server.cli.errors import common
from mars_server.cli.settings import TRIAGE, Configured
from mars_server.common.config import load_product, read, write_durably
from mars_server.publication import status_document
from mars_server.publication.index import read_private_key
from mars_server.storage.triage import store
from mars_server.storage.triage.deleting import Gone
from mars_server.triage import broadcast, setup, trends, upkeep
from mars_server.triage.desk import Desk

_now = options.now_option("As of this time (2026-11-21T00:00:00Z) instead of now.")
_SECRET_BYTES = 32
_OPEN_TO_ALL = 0o644
_UNPINNED = "Without --trust nobody looks whether clients pin this key and its epoch."
_SIGNED = {
    **TRIAGE,
    "out": "status",
    "key": "status_key",
    "passphrase_file": "passphrase_file",
    "trust": "trust",
}


@click.command(cls=Configured, settings=TRIAGE)
@common.db
@common.of_product
@options.path("--out", metavar="F", help="Write the weekly figures to F, for the site.")
@_now
@json_option()
def stats(
    url: str, product_file: Path | None, out: Path | None, now: int | None, as_json: bool
) -> None:
    """Weekly figures of faults by release, floored to tens; and what the operator alone may know.

    A fault is named where ten installations met it. The figures of a week are made two days after
    its end and never change. "operator" tells what was dropped and why; it is exact and not for
    publication, and not in --out.
    """
    with common.locked(url, product_file) as engine:
        trends.close(engine, common.moment(now))
        weeks = trends.published(engine)
        document = trends.document(engine)
        with engine.connect() as connection:
            operator = {
                "dropped": store.reasons(connection),
                "waiting": store.waiting(connection),
                "held": store.held(connection),
                "quota": upkeep.QUOTA._asdict(),
            }
    if out is not None:
        write_durably(out, [document], _OPEN_TO_ALL)
    lines = [*trends.lines(weeks), *_of_operator(operator)]
    options.answer(as_json, {"ok": True, "weeks": weeks, "operator": operator}, *lines)


def _of_operator(told: dict[str, dict[str, object]] | dict[str, object]) -> list[str]:
    held, quota, dropped = (told[name] for name in ("held", "quota", "dropped"))
    assert isinstance(held, dict)
    assert isinstance(quota, dict)
    assert isinstance(dropped, dict)
    full = [f"{held[name]} of {quota[name]} {name}" for name in quota]
    lines = [f"kept: {', '.join(full)}; {told['waiting']} lines wait for keys"]
    for week, reasons in dropped.items():
        lines.append(f"{week}  dropped: {', '.join(f'{n} {why}' for why, n in reasons.items())}")
    return lines


@click.command(cls=Configured, settings=TRIAGE)
@common.db
@common.of_product
@_now
@json_option()
def retain(url: str, product_file: Path | None, now: int | None, as_json: bool) -> None:
    """Delete what is over its time, as errors open does at its end.

    Direct reports go 90 days after they came and after a person last changed anything of their
    group, crowd reports 90 days after they came, read or not.
    """
    with common.locked(url, product_file) as engine:
        old, over = upkeep.tidy(engine, common.moment(now))
    told = {"ok": True, "expired": old._asdict(), "quota": over._asdict()}
    gone = Gone(*map(sum, zip(old, over, strict=True)))
    options.answer(as_json, told, f"deleted: {common.told(gone)}")


@click.command(cls=Configured, settings=_SIGNED)
@common.db
@options.path("--out", required=True, metavar="F", help="status.json, for the server's folder.")
@options.path("--key", required=True, metavar="F", help="Secret key of the role status.")
@options.passphrase
@options.path(
    "--trust",
    metavar="F",
    help="The publisher's newest trust.json, which clients pin: whether they would take the "
    "document. Without it that is said, and the epoch is the last one.",
)
@common.product
@common.rules
@_now
@json_option()
def status(
    url: str,
    out: Path,
    key: Path,
    passphrase_file: Path | None,
    trust: Path | None,
    product_file: Path,
    rules_file: Path | None,
    now: int | None,
    as_json: bool,
) -> None:
    """Write the signed status document: what became of each report, the same bytes for everyone.

    It holds the first 8 bytes of each report's GUID, filled up to a multiple of ten, and the rules
    by which clients know a fault. Put it beside the MOTD: clients fetch /motd/status.json. What a
    client would refuse is not written, and the file that was there stays.
    """
    product = load_product(product_file)
    common.say_exposed([key])
    secret = read(key, "The key", "key", most=4096)
    with naming(key):
        asked = partial(options.passphrase_of, passphrase_file, key)
        seed = read_private_key(secret, "status", asked)
    held = setup.load_rules(product_file, rules_file)
    with common.locked(url, product_file, create=True) as engine:
        new = system_chance().token(_SECRET_BYTES)
        moment = common.moment(now)
        if trust is None:
            options.say(_UNPINNED)
            root = broadcast.pinning(product, store.epoch(engine), public_key(seed))
        else:
            root = _root(trust)
        document = broadcast.issue(Desk(engine, held), product, root, seed, moment, new)
        store.note_epoch(engine, root.epoch)
    write_durably(out, [document], _OPEN_TO_ALL)
    said = status_document.said(document)
    told = {"ok": True, "serial": said.serial, "bytes": len(document), "faults": len(said.faults)}
    told |= {"prefixes": len(said.prefixes), "epoch": said.epoch}
    known = options.number(len(said.faults), "known fault")
    line = f"{out}: {len(said.prefixes)} prefixes, {known}"
    options.answer(as_json, told, line)


def _root(trust: Path) -> TrustRoot:
    """Raises ``ConfigError`` (``trust-missing``, ``trust-unreadable``), and ``WireError``."""
    data = read(trust, "The trust file", "trust")
    with naming(trust):
        return TrustRoot.decode(data)
