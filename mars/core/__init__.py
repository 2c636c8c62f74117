"""One installation, for any channel: consent, state, one exchange, journal, schedule, thread."""
