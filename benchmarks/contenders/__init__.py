"""One process each: read N records of a topic, write each one's outcome, print what it cost."""
