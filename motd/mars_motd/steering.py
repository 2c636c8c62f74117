"""What the folder says about what clients send, when and where: the payload that root signs."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from mars.commandline import shown
from mars.errors import ConfigError, StateError, WireError
from mars.wire import strictjson
from mars.wire.steering import MAX_STEERING, Steering
from mars_motd import files
from mars_motd.folder import Folder
from mars_motd.kinds import STEERING


def wanted(folder: Folder, epoch: int) -> Steering:
    """Servers, interval and links of ``product.toml``, the hash of ``registry.json`` and the public
    keys in ``intake.json``, where these are there. Undated: it has no serial yet.

    Raises ``ConfigError`` (``steering-invalid``) where clients could not read it.
    """
    product, path = folder.product, folder.root / "registry.json"
    said = Steering(
        product.product,
        product.channel,
        epoch,
        serial=0,
        issued=0,
        servers=product.servers,
        reportback_next=product.reportback_next,
        registry=hashlib.sha256(files.read(path)).hexdigest() if files.exists(path) else "",
        intake=_intake(folder),
        links=product.links,
    )
    try:
        STEERING.read(STEERING.write(replace(said, serial=1)))
    except WireError as error:
        raise ConfigError(
            "steering-invalid",
            f"What product.toml and intake.json in {folder.root} say cannot steer clients. "
            f"{error.message}",
        ) from None
    return said


def _intake(folder: Folder) -> dict[str, str]:
    """Raises ``StateError`` (``intake-damaged``)."""
    path = folder.root / "intake.json"
    if not files.exists(path):
        return {}
    try:
        keys = strictjson.parse(files.read(path), MAX_STEERING)
    except WireError as error:
        raise StateError(
            "intake-damaged", f"{shown(path)} cannot be read: {error.message}"
        ) from None
    if not isinstance(keys, dict):
        raise StateError("intake-damaged", f"{shown(path)} must map weeks to public keys.")
    return keys
