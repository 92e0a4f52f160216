"""The programs' loops, which do not know each other: scoring, labeling, drift, and others."""
