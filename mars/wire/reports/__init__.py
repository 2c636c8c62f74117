"""Error reports: what is told of a fault, to whom, and what is answered."""
