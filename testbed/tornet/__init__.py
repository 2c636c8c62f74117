"""A real, private Tor network on loopback: one authority, relays, a client tor, a service tor.

For tests and the demo. Each of its processes is a tor of the operating system, started with a
configuration that names our own directory authority only, so none of them ever speaks to the
public Tor network, and nothing but loopback is connected to.

    with tor_network() as net:
        onion = net.add_onion(80, "unix:/tmp/server.sock")
        ...  # fetch http://{onion.host}/ through the SOCKS port net.socks
"""

from __future__ import annotations

from testbed.tornet.control import Control, ControlError
from testbed.tornet.network import Onion, TorNetwork, tor_network
from testbed.tornet.process import TorProcess

__all__ = ["Control", "ControlError", "Onion", "TorNetwork", "TorProcess", "tor_network"]
