"""Records: bytes are decoded to articles, and decisions are encoded to bytes, without Kafka.

The hot path reads and builds its records by hand; tests compare every byte with the models of
`newsieve_schemas`.
"""
