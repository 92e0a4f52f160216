"""Measures how good a student is, calibrates its scores, and says whether it may be shipped."""
