"""Makes one clean, split data set of the labels in files and topics."""
