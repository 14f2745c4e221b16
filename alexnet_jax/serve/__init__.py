"""A local web page on which one tries a trained network."""
