"""Has a student drifted from its oracle, and why? Pure: no Kafka, no clock.

`filter_monitor` is the way in.
"""
