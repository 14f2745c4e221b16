"""Launchers for clusters, and the sweep command."""
