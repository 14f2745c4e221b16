"""The pixel store: every image of a data set, decoded once and kept as pixels in `.npy` files.

The statistics of the pixels are computed here too.
"""
