"""Processes that train one network: how they find each other."""
