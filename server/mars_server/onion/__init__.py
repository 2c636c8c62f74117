"""The onion service: its options, its place in a running tor, its key."""
