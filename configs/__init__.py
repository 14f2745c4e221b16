"""Recipes: a file each, with the command, the time and the score to expect."""
