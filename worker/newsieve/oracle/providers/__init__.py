"""The oracles that newsieve can ask, behind one contract (`base`)."""
