"""What is sent, each kind a channel: which requests it wants and when, what an answer means."""
