"""Triage of error reports: opened, grouped, answered, and kept no longer than they may be."""
