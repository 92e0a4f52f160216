"""Shows people what a run found: reports, figures, comparisons and model cards."""
