"""Training: time of a step, memory, long runs, waiting for verdicts, sharing of work."""
