"""File -> Document with pages and offsets, inside a child process with limits."""
