"""The query string: which variables exist, what values they take, how they are written.

The client builds it, the server's access log writes it in canonical form, and the counter reads
it back; all three lean on this one page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mars.wire.product import Product

MOTD_PATH = "/motd/motd.json"

VARIABLES = ("v", "os", "ia", "lang", "py", "cc")
"""In the fixed order in which they are sent."""
OPTIONAL = ("lang", "py", "cc")
"""Each a consent of its own; at most one of them rides in a request."""

AGES = ("1", "10", "100", "1000")
"""Install age in days as a power of ten."""
PLATFORM_VALUES = ("linux", "windows", "macos", "other")
DEV = "dev"
OTHER = "other"
NONE = "none"
"""What is counted for a variable that is absent; never on the wire."""

_PYTHON = re.compile(r"3\.(?:0|[1-9][0-9]?)", re.ASCII)

COUNTRIES = frozenset(
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR "
    "BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ "
    "EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW "
    "GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY "
    "KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV "
    "MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY "
    "QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG "
    "TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM "
    "ZW".split()
)
"""ISO 3166-1 alpha-2, the 249 officially assigned codes."""


def is_python(text: str) -> bool:
    """``3.N`` with N from 0 to 99, without a leading zero."""
    return _PYTHON.fullmatch(text) is not None


@dataclass(frozen=True)
class AllowList:
    """The values that may be counted for one product; everything else is ``other``."""

    releases: frozenset[str]
    platforms: frozenset[str]
    languages: frozenset[str]

    @classmethod
    def of(cls, product: Product) -> AllowList:
        return cls(
            releases=frozenset(product.releases) | {DEV},
            platforms=frozenset(product.platforms) | {OTHER},
            languages=frozenset(product.languages),
        )

    def admits(self, variable: str, value: str) -> bool:
        """Whether ``value`` may be counted for ``variable`` (one of ``VARIABLES``)."""
        match variable:
            case "v":
                return value in self.releases
            case "os":
                return value in self.platforms
            case "ia":
                return value in AGES
            case "lang":
                return value in self.languages
            case "py":
                return is_python(value)
            case "cc":
                return value in COUNTRIES
            case _:
                return False

    def read(self, query: str) -> dict[str, str]:
        """Each known variable that stands in ``query``, with its counted value.

        ``query`` is what follows the ``?``, undecoded: nothing is percent-decoded, since no
        allowed value needs it. A variable that stands twice, or whose value is not allowed, is
        ``other``. In the order of ``VARIABLES``; an absent variable is not in the result.
        """
        seen: dict[str, list[str]] = {}
        for part in query.split("&"):
            name, _, value = part.partition("=")
            if name in VARIABLES:
                seen.setdefault(name, []).append(value)
        return {
            name: values[0] if len(values) == 1 and self.admits(name, values[0]) else OTHER
            for name in VARIABLES
            if (values := seen.get(name))
        }

    def canonical(self, query: str) -> str:
        """The query as the access log writes it, with its ``?``; ``""`` for an empty one."""
        if not query:
            return ""
        known = self.read(query)
        return "?" + (encode(known) or OTHER)


def encode(values: Mapping[str, str]) -> str:
    """``v=0.5.2&os=linux&ia=100``: the known variables of ``values`` in their fixed order.

    Every allowed value consists of characters that need no escaping in a query (RFC 3986 3.4).
    """
    return "&".join(f"{name}={values[name]}" for name in VARIABLES if name in values)
