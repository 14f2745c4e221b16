"""Training: from a config to its parts; step, state, optimizers, schedules and the loop."""
