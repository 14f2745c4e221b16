"""Predictions and features of image files, by networks from any source."""
