"""In-memory and loopback parts that we ship so that nobody has to patch anything in a test."""
