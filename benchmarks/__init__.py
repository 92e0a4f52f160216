"""What is fast, side by side with peers, on a real broker. Results with machine, date, command."""
