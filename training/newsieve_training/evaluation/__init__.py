"""How good a student is, how its scores are calibrated, and whether it may be shipped."""
