"""The day log: append-only files, one for each run and day; what a line says is not its matter."""
