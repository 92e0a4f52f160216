"""Trains the adapter and the head on a frozen base model."""
