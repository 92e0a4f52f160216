"""The demo: a whole newsieve on this machine. Its articles were written for it."""
