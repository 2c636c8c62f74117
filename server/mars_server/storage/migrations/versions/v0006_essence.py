"""Logs are known by hashes in which no address has a part.

The hashes of before covered whole lines and could be tested for addresses. They cannot be made
into the new ones, and without them the logs that still lie there would count twice; so a database
that knows logs is refused. No release ever made one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mars.errors import StateError

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM sources")):
        raise StateError(
            "database-old",
            "This database was made before the first release, and what it keeps of counted logs "
            "could be tested for addresses. Count the logs that are left into a new one.",
        )
    with op.batch_alter_table("sources") as table:
        table.alter_column("ladder", existing_type=sa.String(400), type_=sa.String(1000))
