"""``mars-motd init``: a new product folder."""

from __future__ import annotations

from pathlib import Path

import click

from mars.errors import ConfigError
from mars.wire.product import is_name
from mars_motd import files, template
from mars_motd.cli.options import folder_argument


@click.command()
@folder_argument
@click.option("--product", required=True, metavar="NAME", help="a-z, 0-9 and inner hyphens.")
@click.option("--channel", default="stable", show_default=True, metavar="NAME")
def init(folder: Path, product: str, channel: str) -> None:
    """Make the product folder DIR.

    Writes product.toml, an empty registry (metrics.toml, errors.toml) and messages/. Next come
    "mars-motd key new" and "mars-motd sign"; both work without any editing.
    """
    for option, name in (("--product", product), ("--channel", channel)):
        if not is_name(name):
            raise click.UsageError(f"{option} takes 1-40 characters of a-z, 0-9, inner hyphens.")
    if (folder / "product.toml").exists():
        raise ConfigError("product-exists", f"{folder} holds a product.toml already.")
    files.replace(folder / "metrics.toml", template.METRICS_TOML.encode())
    files.replace(folder / "errors.toml", template.ERRORS_TOML.encode())
    files.replace(folder / ".gitignore", template.GITIGNORE.encode())
    (folder / "messages").mkdir(exist_ok=True)
    files.replace(folder / "product.toml", template.product_toml(product, channel).encode())
    click.echo(f"Made {folder} for {product}. Next: mars-motd key new {folder}", err=True)
