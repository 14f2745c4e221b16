"""The pixel store: every image of a data set, decoded once and kept as pixels in `.npy` files."""
