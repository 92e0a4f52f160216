"""The three loops, which do not know each other: scoring, labeling, drift."""
