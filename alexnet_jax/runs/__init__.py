"""Runs and their workdirs: log, checkpoints, results, trained networks."""
