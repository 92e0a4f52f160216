"""Bytes to articles and decisions to bytes: the wire, without Kafka.

The hot path builds its records by hand; tests hold every byte against the models in `schemas`.
"""
