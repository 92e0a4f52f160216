"""What a run found, for people: reports, figures, comparisons and model cards."""
