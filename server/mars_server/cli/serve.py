"""``mars-server serve``."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import click

from mars import factory
from mars.console import safe
from mars.errors import ConfigError, MarsError
from mars.wire.keys import TrustRoot
from mars.wire.product import parse_product
from mars_server.onion.folder import hostname
from mars_server.onion.settings import OnionSettings
from mars_server.serving.bind import Bind, bound, listen, parse_bind
from mars_server.serving.counters import Counters, shared
from mars_server.serving.document import Source
from mars_server.serving.hosts import allowed_hosts
from mars_server.serving.limits import Limits, raise_file_limit
from mars_server.serving.supervisor import Supervisor
from mars_server.serving.worker import Plan, Worker

_FILE = click.Path(path_type=Path)


def tell(text: str) -> None:
    """One line for the operator, on stderr; systemd's journal gives it its time."""
    click.echo(f"mars-server: {safe(text)}", err=True)


def read(path: Path, what: str) -> bytes:
    """The bytes of a file that the operator named. Raises ``ConfigError`` (``file-missing``)."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "file-missing", f"{what} {path} cannot be read ({error.strerror})."
        ) from None


@click.command()
@click.option("--bind", required=True, metavar="unix:PATH|127.0.0.1:PORT", help="Where to listen.")
@click.option("--motd", required=True, type=_FILE, help="The signed document.")
@click.option("--log", required=True, type=_FILE, help="Folder of the access logs.")
@click.option("--product", required=True, type=_FILE, help="The product.toml.")
@click.option("--trust", type=_FILE, help="What clients pin; the MOTD is then verified.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option("--onion", type=_FILE, metavar="DIR", help="Folder of the onion service's key.")
@click.option("--control", metavar="ADDRESS", help="tor's control port or socket, for --onion.")
@click.option("--control-password-file", type=_FILE, help="Where tor wants a password.")
@click.option("--onion-port", type=click.IntRange(1, 65535), default=80, show_default=True)
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="One more allowed Host.")
def serve(
    bind: str,
    motd: Path,
    log: Path,
    product: Path,
    trust: Path | None,
    workers: int,
    onion: Path | None,
    control: str | None,
    control_password_file: Path | None,
    onion_port: int,
    hosts: tuple[str, ...],
) -> int:
    """Answer MOTD requests from memory and keep a log without addresses.

    SIGTERM ends it with the log complete. SIGHUP, or a new file in the place of the MOTD,
    makes it serve the new document, if that is valid; otherwise the old one stays.
    """
    address = parse_bind(bind)
    rules = parse_product(read(product, "The product file"), str(product))
    root = TrustRoot.decode(read(trust, "The trust file")) if trust else None
    if root is None:
        tell("without --trust the MOTD's signatures are not checked, only its form and expiry")
    source = Source(motd, rules, root, factory.openpgp() if root else None)
    if (onion is None) != (control is None):
        raise click.UsageError("--onion and --control go together.")
    limits = Limits(connections=raise_file_limit(Limits().connections))
    settings = None if onion is None else _onion(onion, onion_port, address)
    plan = Plan(
        source=source,
        product=rules,
        log=log,
        hosts=allowed_hosts([*rules.servers, *hosts], address, onion is not None),
        limits=limits,
        onion_name=lambda: hostname(settings.folder) if settings else None,
    )
    sock = listen(address)
    try:
        if settings is not None and control is not None:
            plan = _with_onion(plan, settings, control, control_password_file, sock, address)
        return _run(plan, workers, sock, str(bound(address, sock)))
    finally:
        if address.path:
            Path(address.path).unlink(missing_ok=True)


def _onion(folder: Path, port: int, address: Bind) -> OnionSettings:
    target = f"unix:{Path(address.path).absolute()}" if address.path else str(address)
    return OnionSettings(folder=str(folder.absolute()), target=target, port=port)


def _with_onion(
    plan: Plan,
    settings: OnionSettings,
    control: str,
    password_file: Path | None,
    sock: socket.socket,
    address: Bind,
) -> Plan:
    """Adds the service to tor now, so that a wrong control address is told at once."""
    from mars_server.onion.keeper import ensure

    settings = replace(
        settings, target=settings.target if address.path else str(bound(address, sock))
    )

    def keep() -> None:
        added, defended = ensure(settings, control, password_file)
        if added:
            name = hostname(settings.folder)
            tell(f"onion service http://{name}" if name else "onion service added to tor")
        if added and not defended:
            tell("this tor has no proof-of-work module; the service runs without that defence")

    keep()
    return replace(plan, keep_onion=keep)


def _run(plan: Plan, workers: int, sock: socket.socket, where: str) -> int:
    clock, chance = factory.system_clock(), factory.system_chance()
    memory = shared(workers)

    def worker(row: int) -> Worker:
        mine = plan if row == 0 else replace(plan, keep_onion=None)
        return Worker(mine, clock, chance, Counters(memory, row), tell)

    def work(row: int, parent: int) -> int:
        try:
            one = worker(row)
            return int(not asyncio.run(one.run(sock, one.start(), parent)))
        except MarsError as error:
            tell(str(error))
            return 1

    if workers == 1:
        only = worker(0)
        document = only.start()
        tell(f"serving serial {document.serial} on {where}")
        return int(not asyncio.run(only.run(sock, document)))
    document = plan.source.load(clock.now())
    tell(f"serving serial {document.serial} on {where} with {workers} processes")
    return Supervisor(workers, work, clock, tell, lambda: None).run()
