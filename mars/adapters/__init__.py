"""The devices behind the ports: network, Tor, disk, clock, chance, GnuPG. One library, one home."""
