"""Writes the student folder that a worker loads."""
