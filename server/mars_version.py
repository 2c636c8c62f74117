"""Signed news for desktop applications over Tor; nothing heavy is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mars.client import Mars

__all__ = ["Mars", "__version__"]
__version__ = "0.1.0"
"""Of all three distributions, which read it here when they are built."""


def __getattr__(name: str) -> Any:
    if name == "Mars":
        from mars.client import Mars

        return Mars
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
