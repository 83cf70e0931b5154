"""The upkeep page, one section a file."""
