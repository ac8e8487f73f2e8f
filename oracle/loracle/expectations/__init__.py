"""Failures that are known and expected: the file that lists them, and what becomes of them."""
