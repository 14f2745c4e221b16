"""The report of a run: one HTML file to look at, and figures for papers."""
