"""The SQLite store behind the pages, feeds and API of `newsieve serve`."""
