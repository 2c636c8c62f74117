"""``mars-server up``: one process that keeps a whole server running."""
