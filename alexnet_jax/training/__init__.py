"""Training: state, optimizer, step, loop, checkpoints, logs."""
