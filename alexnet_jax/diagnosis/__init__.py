"""The doctor: measurements of a config on this machine, the bottleneck, and advice."""
