"""All images of a data set, divided over the memory of the devices."""
