"""From image files to augmented batches on the devices."""
