"""The student folder that a worker loads."""
