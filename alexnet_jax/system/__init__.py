"""What talks to the operating system: files, locks, processes, signals, terminals."""
