"""Devices: the mesh and how batches and parameters lie on it."""
