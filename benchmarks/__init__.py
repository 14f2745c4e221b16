"""Measurements, with their commands; see benchmarks/README.md."""
