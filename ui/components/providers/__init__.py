"""The parts of the providers page."""
