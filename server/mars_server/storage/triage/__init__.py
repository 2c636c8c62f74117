"""The database of error reports: groups, reports, shares; a file apart from that of the counts."""
