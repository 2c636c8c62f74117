"""The whole chain on one computer, over a private Tor network: ``make demo``."""
