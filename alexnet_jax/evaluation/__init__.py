"""Counting the errors of a trained network, every example once."""
