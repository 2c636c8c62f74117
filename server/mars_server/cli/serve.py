"""``mars-server serve``."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import click

from mars import factory
from mars.console import safe
from mars.errors import ConfigError, MarsError
from mars.wire.keys import TrustRoot
from mars.wire.product import parse_product
from mars_server.serving.bind import bound, listen, parse_bind
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
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="One more allowed Host.")
def serve(
    bind: str,
    motd: Path,
    log: Path,
    product: Path,
    trust: Path | None,
    workers: int,
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
    limits = Limits(connections=raise_file_limit(Limits().connections))
    plan = Plan(
        source=source,
        product=rules,
        log=log,
        hosts=allowed_hosts([*rules.servers, *hosts], None, address),
        limits=limits,
    )
    clock, chance = factory.system_clock(), factory.system_chance()
    memory = shared(workers)

    def worker(row: int) -> Worker:
        return Worker(plan, clock, chance, Counters(memory, row), tell)

    first = worker(0)
    document = first.start() if workers == 1 else source.load(clock.now())
    sock = listen(address)
    tell(f"serving serial {document.serial} on {bound(address, sock)}")
    try:
        if workers == 1:
            return int(not asyncio.run(first.run(sock, document)))
        return Supervisor(
            workers, lambda row, parent: _work(worker(row), sock, parent), clock, tell, lambda: None
        ).run()
    finally:
        if address.path:
            Path(address.path).unlink(missing_ok=True)


def _work(worker: Worker, sock: socket.socket, parent: int) -> int:
    """What one of several processes does; its exit code."""
    try:
        return int(not asyncio.run(worker.run(sock, worker.start(), parent)))
    except MarsError as error:
        tell(str(error))
        return 1
