"""One error report, or one request to delete one, as it is sealed and shown. All that loads
libsodium is loaded when it is needed."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

from mars.channels.motd import check_url
from mars.channels.queue import CROWD, Report
from mars.channels.sending import SEED_BYTES
from mars.errors import TransportError
from mars.wire.query import INTAKE_PATH
from mars.wire.request import HTTPRequest

if TYPE_CHECKING:
    from mars.channels.statistics import Known
    from mars.ports import Platform
    from mars.wire.reports.direct import Identity
    from mars.wire.reports.outer import Destination

MEANING = {
    "crowd": (
        "Nobody reads it before ten installations have claimed to meet the same fault of the same "
        "release; what never reaches ten is deleted unread after 90 days. Two ways lead round "
        "that: whoever knows the fault's frames, from a direct report of it or by guessing, can "
        "read it, and one person can claim to be ten installations. It says types and frames and "
        "nothing else, and nobody can answer it or delete it singly."
    ),
    "direct": (
        "The developers read it as soon as they open it, with the platform, and with a message if "
        "you add one. It has a number (GUID) of its own, by which you find an answer, and by which "
        "you can have it deleted; nothing ties it to any other report."
    ),
}
"""What each way to send a report means, where a user chooses."""


def identity(secret: str, report: Report) -> Identity:
    """Of a report, with the installation's ``secret`` (hex)."""
    from mars.wire.reports.direct import Identity

    return Identity.of(bytes.fromhex(secret), bytes.fromhex(report.nonce))


def shared(secret: str, report: Report, product: str) -> Report:
    """With the inside of its crowd report: 0.1 s of a core and 64 MiB. Never in the thread of a
    window, and never where a fault was just met. Raises ``StateError`` (``no-memory``)."""
    from mars.wire.reports.crowd import Dealer

    dealer = Dealer.of(report.fault, product, report.release)
    share = dealer.share(bytes.fromhex(secret), bytes.fromhex(report.nonce))
    return replace(report, share=base64.b64encode(share.inner()).decode("ascii"))


def message(
    known: Known, secret: str, report: Report, seed: str, url: str | None, *, deletion: bool
) -> HTTPRequest:
    """The request, sealed with ``seed`` (hex, ``SEED_BYTES``). A crowd report must have its share.

    Raises ``MarsError`` as ``text``.
    """
    from mars.wire.reports.outer import Outer
    from mars.wire.sealed import LARGE, seal

    place = check_url(url or known.url, path=INTAKE_PATH)
    to = _destination(known, report.release, place.host, any_release=deletion)
    inner = _inner(secret, report, to, deletion=deletion)
    half = SEED_BYTES // 2
    inside, outside = bytes.fromhex(seed)[:half], bytes.fromhex(seed)[half:]
    outer = Outer.sealed(inner, to, inside).encode()
    body = seal(outer, bytes.fromhex(known.key), outside, LARGE)
    return HTTPRequest.post(place.url, body, _shown(inner, to, report, deletion=deletion))


def text(known: Known, secret: str, report: Report, *, deletion: bool = False) -> str:
    """What is sealed: the same each time, before it goes and when it goes.

    Raises ``TransportError`` (``no-report-key``, ``no-share``), ``WireError`` (``too-large`` for a
    message), and as ``check_url``.
    """
    server = check_url(known.url, path=INTAKE_PATH).host
    to = _destination(known, report.release, server, any_release=deletion)
    inner = _inner(secret, report, to, deletion=deletion)
    return _shown(inner, to, report, deletion=deletion)


def _inner(secret: str, report: Report, to: Destination, *, deletion: bool) -> bytes:
    from mars.wire.reports.direct import Content

    if deletion:
        return identity(secret, report).deletion(to)
    if report.way == CROWD:
        if not report.share:
            raise TransportError("no-share", "The crowd report is not made yet; wait a moment.")
        return report.inner
    content = Content(report.fault, report.platform, report.message)
    return identity(secret, report).report(content, to)


def _destination(known: Known, release: str, server: str, *, any_release: bool) -> Destination:
    """A deletion may go by the key of any release: that of its own may be withdrawn by now."""
    from mars.wire.reports.outer import Destination

    keys = known.catalogue.reports
    if release not in keys and any_release and keys:
        release = max(keys)
    if release not in keys:
        raise TransportError(
            "no-report-key",
            "The publisher has no key for reports of this release, so this one is not sent; "
            "install the newest release.",
        )
    whose = (known.catalogue.product, known.catalogue.channel, release)
    return Destination(*whose, bytes.fromhex(keys[release]), server)


def _shown(inner: bytes, to: Destination, report: Report, *, deletion: bool) -> str:
    """What is sealed, one JSON text a line: the outside without its box, the head and the content
    of the inside; of a crowd report the content as it is before it is encrypted."""
    from mars.wire import strictjson
    from mars.wire.reports.outer import TYPE, parted

    head, rest = parted(inner)
    outside = {"type": TYPE, "product": to.product, "channel": to.channel, "release": to.release}
    if report.way == CROWD and not deletion:
        rest = report.fault.body
    lines = [strictjson.write(outside), strictjson.write(head), rest]
    return "\n".join(line.decode("utf-8") for line in lines if line)


def platform_of(host: Platform) -> str:
    """What a direct report says of it."""
    from mars.wire.reports.direct import SYSTEMS
    from mars.wire.variables import OTHER

    return host.system if host.system in SYSTEMS else OTHER
