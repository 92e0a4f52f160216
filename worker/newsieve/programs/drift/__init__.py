"""The drift monitor program: labels, articles, canaries and decisions in, alerts out."""
