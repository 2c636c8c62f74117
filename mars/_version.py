"""Of all three distributions, which read it here when they are built."""

__version__ = "0.1.0"
