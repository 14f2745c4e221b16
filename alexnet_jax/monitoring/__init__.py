"""What a run shows and records beside its metrics."""
