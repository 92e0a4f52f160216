"""The `newsieve-train` command line."""
