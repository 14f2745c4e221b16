"""Images of iterated function systems, drawn from a seed."""
