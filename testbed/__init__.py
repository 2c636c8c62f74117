"""What demo, bench and tests run on and no application needs; in no distribution."""
