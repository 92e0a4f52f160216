"""From texts to raw scores: tokenize, sort into buckets, forward. It knows no Kafka and no
tiers."""
