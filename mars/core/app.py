"""What the application says of itself, to the client and in the state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mars import consent


@dataclass(frozen=True)
class App:
    """What the application says of itself. Everything else is the user's or the machine's."""

    product: str
    version: str
    url: str
    """Where the built-in server's document lies."""
    languages: tuple[str, ...] = ("en",)
    """Languages that the application ships."""
    locale: str = ""
    """The language it is shown in now, when the application knows better than the system."""
    ceiling: consent.Layer = field(
        default_factory=lambda: consent.cap("application", consent.TRACKED)
    )
    """The most that the application ever wants, whatever its user agrees to."""
    built: int = 0
    """A time known to have passed: of the build."""
    by_hand: bool = False
    """Described on a command line, which does not overrule what the application said of itself."""

    def profile(self) -> dict[str, Any]:
        """What is kept with the state, for ``mars preview`` and its like."""
        return {
            "product": self.product,
            "version": self.version,
            "url": self.url,
            "languages": list(self.languages),
            "locale": self.locale,
            "built": self.built,
            "ceiling": self.ceiling.level,
            "by_hand": self.by_hand,
        }

    @classmethod
    def of(cls, profile: Mapping[str, Any]) -> App:
        """What ``profile`` made; anything that cannot be read is left at its default."""
        languages, built = profile.get("languages"), profile.get("built")
        return cls(
            product=str(profile.get("product", "")),
            version=str(profile.get("version", "")),
            url=str(profile.get("url", "")),
            languages=tuple(map(str, languages)) if isinstance(languages, list) else (),
            locale=str(profile.get("locale", "")),
            ceiling=consent.cap("application", str(profile.get("ceiling", consent.TRACKED))),
            built=built if type(built) is int else 0,
            by_hand=profile.get("by_hand", True) is True,
        )
