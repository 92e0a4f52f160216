"""`newsieve ingest`: articles from feeds, HTTP and files onto the raw topic, exactly once."""
