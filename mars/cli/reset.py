"""``mars reset``: the installation date, or everything."""

from __future__ import annotations

import click

from mars import factory
from mars.cli.common import Place, where
from mars.commandline import done, emit_json
from mars.errors import ConfigError, WireError
from mars.wire.times import parse_time


@click.command(short_help="Change the installation date, or forget everything.")
@where
@click.option("--age", is_flag=True, help="The installation counts as made today.")
@click.option("--installed", metavar="DATE", help="It counts as made on DATE, as 2026-11-21.")
@click.option("--all", "everything", is_flag=True, help="Forget all that is kept, consent too.")
def reset(
    place: Place,
    age: bool,
    installed: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Change the installation date, of which only the age as a power of ten is ever sent.

    With --all everything is forgotten: consent, country, news, times, journal, current.json and
    the files of a Tor of our own. It is a new installation then, without consent. The memory of
    which news was seen goes too, so that an older document would be accepted again.
    """
    if (age, installed is not None, everything).count(True) != 1:
        raise click.UsageError("Choose one of --age, --installed DATE and --all.")
    client, _ = place.client(changes=True)
    if everything:
        client.forget(lambda: factory.clear(place.folder(client.ports.host)))
    else:
        now = client.ports.clock.now()
        client.set_installed(None if installed is None else _day(installed, now))
    said = "Everything is forgotten" if everything else "The installation date is set"
    with done(said):
        if as_json:
            emit_json({"ok": True, "reset": "all" if everything else "age"})
        else:
            click.echo(f"{said}.")


def _day(text: str, now: int) -> int:
    """Its first second, UTC. Raises ``ConfigError`` (``bad-time``)."""
    try:
        day = parse_time(f"{text}T00:00:00Z")
    except WireError:
        raise ConfigError("bad-time", "Write the date like this: --installed 2026-11-21.") from None
    if day > now:
        raise ConfigError(
            "bad-time", "That day has not begun yet (UTC); name a past one, or today by --age."
        )
    return day
