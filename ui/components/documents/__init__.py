"""The documents page: what it shows and does."""
