"""The server's database: SQLAlchemy Core on SQLite or PostgreSQL, migrated by Alembic."""

from sqlalchemy import Engine

from mars_server.storage.database import open_database

__all__ = ["Engine", "open_database"]
