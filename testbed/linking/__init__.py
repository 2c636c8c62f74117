"""An attacker who links requests: everything that a server sees, and every law, but no identity.

``settings`` is the population, ``traffic`` what arrives, ``law`` and ``evidence`` what the attacker
knows, ``attack`` and ``tracks`` link, ``person`` asks whether somebody known is there, ``operator``
is a server that answers each circuit differently, ``price`` is what silence costs the figures.
"""
