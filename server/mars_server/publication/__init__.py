"""What is published stays: closing weeks, the folder, its signed index, taking over after a loss."""
