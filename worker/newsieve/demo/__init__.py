"""`newsieve demo` and its data: articles.jsonl, which was written for it, and labels.jsonl, the
scores that a large language model gave each readable article on reading it once."""
