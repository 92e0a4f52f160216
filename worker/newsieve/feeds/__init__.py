"""News feeds: lists of them, their answers, and the articles in these."""
