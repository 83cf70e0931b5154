"""One widget family a file: takes the engine's dataclasses, returns what the user chose."""
