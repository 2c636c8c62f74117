"""What is published stays: closing weeks, the folder, its signed index, restoring after a loss."""
