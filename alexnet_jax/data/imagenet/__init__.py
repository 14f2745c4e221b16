"""ImageNet: the English names of its classes."""
