"""Resolving power: how small an error in one output a default run finds."""
