"""``mars-motd init``: a new product folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from mars.console import shown
from mars.errors import ConfigError
from mars.wire.onion import is_onion_server
from mars.wire.product import is_name
from mars_motd import files, template
from mars_motd.cli.options import folder_argument, telling
from mars_motd.status import NO_SERVER


@click.command()
@folder_argument
@click.option("--product", required=True, metavar="NAME", help="a-z, 0-9 and inner hyphens.")
@click.option("--channel", default="stable", show_default=True, metavar="NAME")
@click.option(
    "--server",
    "servers",
    multiple=True,
    metavar="ADDRESS",
    help="The onion service that clients ask, as mars-server onion address prints it.",
)
def init(folder: Path, product: str, channel: str, servers: tuple[str, ...]) -> None:
    """Make the product folder DIR.

    Writes product.toml, an empty registry (metrics.toml, errors.toml) and messages/. Next come
    "mars-motd key new" and "mars-motd sign"; both work without any editing.
    """
    for option, name in (("--product", product), ("--channel", channel)):
        if not is_name(name):
            raise click.UsageError(f"{option} takes 1-40 characters of a-z, 0-9, inner hyphens.")
    urls = [f"http://{server.removeprefix('http://')}" for server in servers]
    if not all(map(is_onion_server, urls)):
        raise click.UsageError("--server takes an onion address, http://<56 characters>.onion.")
    where = shown(folder)
    if files.exists(folder / "product.toml"):
        raise ConfigError("product-exists", f"{where} holds a product.toml already.")
    for name, text in (
        ("metrics.toml", template.METRICS_TOML),
        ("errors.toml", template.ERRORS_TOML),
    ):
        with suppress(FileExistsError):
            files.create(folder / name, text.encode())
    _ignore_secrets(folder / ".gitignore", template.GITIGNORE.encode())
    (folder / "messages").mkdir(exist_ok=True)
    files.replace(folder / "product.toml", template.product_toml(product, channel, urls).encode())
    with telling():
        click.echo(f"Made {where} for {product}. Next: mars-motd key new {where}", err=True)
        if not servers:
            click.echo(f"Not yet: {NO_SERVER}", err=True)


def _ignore_secrets(path: Path, rules: bytes) -> None:
    """Puts ``rules`` before what stands there already."""
    there = files.read(path) if files.exists(path) else b""
    if rules not in there:
        files.replace(path, rules + there)
