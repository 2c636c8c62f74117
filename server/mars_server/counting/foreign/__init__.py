"""Knowing a log of another server again, however it was rotated, without keeping what it says."""
