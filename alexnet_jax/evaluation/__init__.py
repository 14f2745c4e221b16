"""Evaluation: the views of an image, metrics, scores of a split."""
