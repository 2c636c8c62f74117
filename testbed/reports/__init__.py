"""Installations that send declared statistics for a year, and who tries to tell them apart.

The times are the client's own (``draws`` of the channels, ``schedule`` and ``days`` of the core);
what arrives is laid beside what was declared, and an attacker who has all of it joins reports.
"""
