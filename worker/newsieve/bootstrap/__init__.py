"""Builds the real objects from settings: the only place that knows them all."""
