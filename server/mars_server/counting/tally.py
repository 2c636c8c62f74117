"""The pure core of counting."""
