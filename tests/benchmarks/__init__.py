"""The benchmarks run, as processes of their own: nothing here measures."""
