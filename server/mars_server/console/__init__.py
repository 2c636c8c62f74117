"""Triage in the browser: pages without scripts, on a socket of its own, for the operator."""
