"""The entries of the catalogue, by contract; nothing here imports torch."""
