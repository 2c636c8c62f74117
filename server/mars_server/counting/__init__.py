"""Exact counts from access logs of any server, each line once."""
