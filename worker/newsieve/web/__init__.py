"""Pages for people: what the drift monitors say, as HTML."""
