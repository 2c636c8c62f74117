"""The failure stream: what failed, counted once for each subject, days at a time."""
