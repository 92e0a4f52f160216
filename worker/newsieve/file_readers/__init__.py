"""Readers of files of articles: JSON in its forms, CSV, WARC, compressed or not."""
