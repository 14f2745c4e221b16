"""Devices and processes: the mesh, sharding rules, partitioned operations, prefetching."""
