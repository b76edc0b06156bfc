"""Training: from sequences and labels to a run directory."""
