"""What a machine will do with a config: measured, judged, told."""
