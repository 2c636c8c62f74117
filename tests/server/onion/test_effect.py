"""The defences as a running tor has them, beside what we asked for."""

from __future__ import annotations

from pathlib import Path

from stem.descriptor.hidden_service import HiddenServiceDescriptorV3

from mars import factory
from mars.ports import Request
from mars.wire.request import HTTPRequest
from mars_server.onion.control import connected
from mars_server.onion.folder import hostname
from mars_server.onion.settings import OnionSettings, holds, options
from testbed.tornet import TorNetwork
from tests.server.serving import kit


def test_l01_l02_every_defence_is_in_the_running_service(tornet: TorNetwork) -> None:
    folder = str(tornet.folder / "effect")
    control = f"unix:{tornet.service.folder}/control"
    with connected(control) as tor:
        before = tor.services()
    try:
        with (
            tornet.publications() as published,
            kit.served("--onion", folder, "--control", control, unix=True) as server,
        ):
            server.wait_for("onion service http://")
            name = hostname(folder)
            assert name is not None
            published(name)
            with connected(control) as tor:
                assert holds(tor.services(), options(OnionSettings(folder, f"unix:{server.path}")))
                text = tor.info(f"hs/service/desc/id/{name.removesuffix('.onion')}")
            descriptor = HiddenServiceDescriptorV3.from_str(text)
            # What clients read: the parameters of the puzzle. Introduction limits go to the
            # introduction points, stream limits and circuit numbers stay at the service; group L
            # of tests/hostile shows those two at work.
            inner = str(descriptor.decrypt(name))
            assert "\npow-params v1 " in f"\n{inner}"
            assert inner.count("introduction-point ") >= 3
            request = Request(HTTPRequest.get(f"http://{name}/motd/motd.json"), deadline=30.0)
            assert factory.fetcher(tornet.socks).fetch(request).body == server.body
    finally:
        with connected(control) as tor:
            tor.configure(before)
    assert not Path(server.path).exists()
