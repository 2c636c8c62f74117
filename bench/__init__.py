"""Every figure that the docs claim, measured on the machine at hand: ``make bench``."""
