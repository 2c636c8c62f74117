"""How far published figures leave hidden counts open to an attacker: every row of the tables in
docs/privacy.md.

``--write docs/privacy.md`` puts the tables there. About a minute of one core. The tests look at the
quick rows.
"""

from __future__ import annotations

from tests.server.tables import reconstruction

main = reconstruction.main
"""Returns 1 where the docs give other figures."""
