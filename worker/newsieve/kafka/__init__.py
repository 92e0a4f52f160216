"""The only folder that imports confluent_kafka."""
