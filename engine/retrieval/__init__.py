"""Question -> hits: word search, fusion of rankings, diversity."""
