"""What several stages share and none owns."""
