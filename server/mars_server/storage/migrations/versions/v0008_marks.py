"""Logs are known by marks under a key that is not in the database; our own by their id alone.

The bare hashes of before could be tested for the times and values of a short log's requests. Those
of our own logs are dropped, for their id suffices. Of foreign logs nothing is left to make the new
marks from, and without them the logs that still lie there would count twice; so a database that
knows one is refused. No release ever made one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mars.errors import StateError

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    connection = op.get_bind()
    if connection.scalar(sa.text("SELECT count(*) FROM sources WHERE own IS NULL")):
        raise StateError(
            "database-old",
            "This database was made before the first release, and what it keeps of counted logs "
            "of other servers could be tested for the times and values of requests. Count the "
            "logs that are left into a new one, and delete this one and its backups.",
        )
    connection.execute(sa.text("UPDATE sources SET ladder = '', tail = 'own', inode = NULL"))
