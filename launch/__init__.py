"""What starts runs on clusters, and many runs side by side."""
