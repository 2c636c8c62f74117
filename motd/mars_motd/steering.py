"""What the folder says about what clients send, when and where: the payload that root signs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from mars.errors import ConfigError, WireError
from mars.wire.catalogue import digest
from mars.wire.keyfile import INTAKE
from mars.wire.steering import Steering
from mars.wire.times import week_of
from mars_motd import files, pairs, registry
from mars_motd.folder import Folder
from mars_motd.kinds import STEERING


def wanted(folder: Folder, epoch: int) -> Steering:
    """Servers, interval and links of ``product.toml``, the hash of ``registry.json`` and the public
    keys in ``intake.json``, where these are there. Undated: it has no serial yet.

    Raises ``ConfigError`` (``steering-invalid``) where clients could not read it, ``StateError``
    (``intake-damaged``, ``registry-damaged``).
    """
    product, declared = folder.product, registry.document(folder)
    said = Steering(
        product.product,
        product.channel,
        epoch,
        serial=0,
        issued=0,
        servers=product.servers,
        reportback_next=product.reportback_next,
        registry=digest(declared) if declared else "",
        intake=pairs.public_halves(folder, INTAKE),
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


def signed_intake(folder: Folder) -> Mapping[str, str]:
    """The keys of the intake in ``steering.json`` as it lies there, of whatever epoch, unverified:
    for warnings alone. Nothing where none can be read."""
    path = folder.root / "steering.json"
    if not files.exists(path):
        return {}
    with suppress(WireError):
        return STEERING.decode(files.read(path)).said.intake
    return {}


def is_past_alone(last: Steering, said: Steering, now: int) -> bool:
    """Whether both steer alike from the week of ``now`` (Unix seconds) on: keys of weeks that are
    over leave the folder, and root need not sign anew for their sake."""
    both = (replace(each, intake=_from(each.intake, week_of(now))) for each in (last, said))
    return next(both).same_as(next(both))


def _from(intake: Mapping[str, str], week: str) -> dict[str, str]:
    return {each: key for each, key in intake.items() if each >= week}
