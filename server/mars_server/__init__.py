"""Serves the signed MOTD over an onion service, counts its logs, publishes floored figures."""
