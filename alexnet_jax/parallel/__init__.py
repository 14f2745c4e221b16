"""Devices and processes: the mesh, sharding rules, clusters."""
