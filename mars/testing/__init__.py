"""The testing kit: what an application is tested with, in memory and on loopback."""
