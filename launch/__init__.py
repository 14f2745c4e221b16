"""Launchers for clusters, and the commands that need a clone."""
