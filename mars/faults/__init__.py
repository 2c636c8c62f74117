"""Faults of the application as they happen, or as somebody's text tells them: names, bounded."""
