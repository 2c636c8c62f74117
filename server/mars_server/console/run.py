"""The console as a process: its socket, its onion service, its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from mars.errors import ConfigError, MarsError
from mars_server.common.config import owner, read, write_durably
from mars_server.console.app import Console
from mars_server.onion.authorised import AuthorisedService, new_secret, secret_key
from mars_server.serving.bind import SOCKET_MODE, Bind, listening

_ALONE: Final = 0o600
"""Of the socket, where no tor needs it: its owner may connect, and nobody else."""
_ONION_EVERY: Final = 10.0
"""Seconds between two looks whether tor still has the service."""
_GRACE: Final = 5.0
"""Seconds that an answer has to arrive when the process ends."""
_SILENT = logging.getLogger("mars_server.silent")
"""For aiohttp, whose error log prints what browsers sent."""
_SILENT.disabled = True


@dataclass(frozen=True)
class Onion:
    """The console's service in a tor that runs."""

    service: AuthorisedService
    control: str
    password_file: str | Path = ""

    def ensure(self, anew: bool = False) -> bool:
        """As ``ensure_authorised``."""
        from mars_server.onion.control import ensure_authorised

        return ensure_authorised(self.service, self.control, self.password_file, anew)

    def remove(self) -> None:
        from mars_server.onion.control import remove_authorised

        remove_authorised(self.service.host, self.control, self.password_file)


def onion_key(path: Path, seed: bytes) -> str:
    """The service's secret key in the file ``path``; a new one of ``seed`` where there is none.
    Raises ``ConfigError`` (``onion-key``, ``onion-key-unreadable``), ``OSError``."""
    if not path.exists():
        write_durably(path, [f"{new_secret(seed)}\n".encode()], _ALONE)
    data = read(path, "The key", "onion-key", most=4096)
    return secret_key(data.decode("utf-8", "replace"), str(path))


def require_closed(socket_path: Path, shared: bool) -> None:
    """That the folder of the socket is ours, and closed to others; to all but its group where that
    is tor's (``shared``). It is made where it is not there. Raises ``ConfigError``
    (``socket-open``)."""
    folder = socket_path.absolute().parent
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.stat()
    if found.st_uid == os.geteuid() and not found.st_mode & (0o027 if shared else 0o077):
        return
    told = "others may enter it" if found.st_uid == os.geteuid() else f"it is of {owner(folder)}"
    raise ConfigError(
        "socket-open",
        f"{folder} is no folder for the console's socket: {told}. Name one of yours with mode "
        f"{'2750 and the group of tor' if shared else '0700'}; a new one is made like that.",
    )


def serve(
    console: Console, path: Path, tell: Callable[[str], None], onion: Onion | None = None
) -> None:
    """Until SIGTERM or SIGINT. Raises ``MarsError`` before it serves."""
    require_closed(path, shared=onion is not None)
    bind = Bind(path=str(path))
    with listening(bind, SOCKET_MODE if onion else _ALONE) as sock:
        try:
            if onion is not None:
                onion.ensure(anew=True)
            asyncio.run(_serve(console, sock, bind.target, tell, onion))
        finally:
            if onion is not None:
                with suppress(MarsError):  # tor may be gone, and with it the service
                    onion.remove()


async def _serve(
    console: Console,
    sock: socket.socket,
    where: str,
    tell: Callable[[str], None],
    onion: Onion | None,
) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        console.application(), access_log=None, handle_signals=False, logger=_SILENT,
        shutdown_timeout=_GRACE,
    )  # fmt: skip
    await runner.setup()
    try:
        await web.SockSite(runner, sock).start()
        tell(f"console on {where}; ssh -N -L 8080:{where[5:]} HOST leads there")
        if onion is not None:
            tell(f"console on http://{onion.service.host}, for those with a key that it names")
        keeping = asyncio.create_task(_keep(onion, tell))
        await stop.wait()
        keeping.cancel()
    finally:
        await runner.cleanup()


async def _keep(onion: Onion | None, tell: Callable[[str], None]) -> None:
    """Gives a tor that was started anew the service again."""
    trouble = ""
    while onion is not None:
        await asyncio.sleep(_ONION_EVERY)
        before, trouble = trouble, ""
        try:
            await asyncio.to_thread(onion.ensure)
        except MarsError as error:
            trouble = str(error)
        if trouble != before:
            tell(trouble or "tor answers again")
