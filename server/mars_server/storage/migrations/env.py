"""Run by Alembic inside ``open_database``, on the connection and transaction handed over."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["noted"],
    transactional_ddl=False,  # the caller holds the transaction
)
context.run_migrations()
