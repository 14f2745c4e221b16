"""Sets of overrides to run side by side."""
