"""From labels in files and topics to one clean, split data set."""
