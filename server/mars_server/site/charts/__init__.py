"""Charts: readable Vega-Lite specifications, rendered behind one small interface."""
