"""``mars-server errors stats``, ``retain`` and ``status``: what leaves, and what goes."""

from __future__ import annotations

from pathlib import Path

import click

from mars.commandline import json_option
from mars.errors import ConfigError, naming
from mars.factory import system_chance
from mars.wire.ed25519 import public_key
from mars.wire.keys import TrustRoot
from mars_server.cli import options
from mars_server.cli.errors import common
from mars_server.cli.settings import TRIAGE, Configured
from mars_server.common.config import load_product, read, write_durably
from mars_server.publication.index import read_private_key
from mars_server.storage.triage import store
from mars_server.triage import broadcast, setup, trends, upkeep
from mars_server.triage.desk import Desk

_now = options.now_option("As of this time (2026-11-21T00:00:00Z) instead of now.")
_SECRET_BYTES = 32
_OPEN_TO_ALL = 0o644
_SIGNED = {**TRIAGE, "out": "status", "key": "status_key", "trust": "trust"}


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
    options.answer(as_json, {"weeks": weeks, "operator": operator}, *lines)


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
    told = {"expired": old._asdict(), "quota": over._asdict()}
    gone = f"{old.reports + over.reports} reports, {old.shares + over.shares} shares"
    options.answer(as_json, told, f"{gone} and {old.tombstones} tombstones were deleted")


@click.command(cls=Configured, settings=_SIGNED)
@common.db
@options.path("--out", required=True, metavar="F", help="status.json, for the server's folder.")
@options.path(
    "--key", required=True, metavar="F", help="Secret key of the role status, without a passphrase."
)
@common.product
@common.rules
@options.path(
    "--trust",
    metavar="F",
    help="The publisher's newest trust.json: the epoch, and whether the key is one of status. "
    "The epoch is remembered; without it the first is 1.",
)
@_now
@json_option()
def status(
    url: str,
    out: Path,
    key: Path,
    product_file: Path,
    rules_file: Path | None,
    trust: Path | None,
    now: int | None,
    as_json: bool,
) -> None:
    """Write the signed status document: what became of each report, the same bytes for everyone.

    It holds the first 8 bytes of each report's GUID, filled up to a multiple of ten, and the rules
    by which clients know a fault. Put it beside the MOTD: clients fetch /motd/status.json.
    """
    product = load_product(product_file)
    common.say_exposed([key])
    seed = read_private_key(read(key, "The key", "key", most=4096), "status")
    held = setup.load_rules(product_file, rules_file)
    with common.locked(url, product_file, create=True) as engine:
        epoch = _epoch(trust, public_key(seed), store.epoch(engine))
        new = system_chance().token(_SECRET_BYTES)
        moment = common.moment(now)
        document = broadcast.issue(Desk(engine, held), product, epoch, seed, moment, new)
        store.note_epoch(engine, epoch)
    write_durably(out, [document], _OPEN_TO_ALL)
    said = broadcast.read(document)
    told = {"ok": True, "serial": said.serial, "bytes": len(document), "faults": len(said.faults)}
    told |= {"prefixes": len(said.prefixes), "epoch": epoch}
    line = (
        f"{out}: {len(said.prefixes)} prefixes, {options.number(len(said.faults), 'known fault')}"
    )
    options.answer(as_json, told, line)


def _epoch(trust: Path | None, public: bytes, known: int) -> int:
    """Raises ``ConfigError`` (``key-other-role``), and ``WireError``."""
    if trust is None:
        return known
    data = read(trust, "The trust file")
    with naming(trust):
        root = TrustRoot.decode(data)
    if public.hex() not in root.keys.signing("status").ed25519.values():
        raise ConfigError(
            "key-other-role", f"The key is not one of the role status in {trust}; take that one."
        )
    return root.epoch
