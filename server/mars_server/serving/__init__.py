"""Answers from memory, the same bytes for everyone, and keeps a log that holds no address."""
