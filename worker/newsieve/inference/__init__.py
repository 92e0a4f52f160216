"""From texts to raw scores: tokenise, sort into buckets, forward. Knows no Kafka and no tiers."""
