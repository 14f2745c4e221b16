"""TFDS builders: each writes one data set as ArrayRecord files."""
