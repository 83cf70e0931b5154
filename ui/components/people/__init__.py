"""The parts of the users page: people, groups, sessions, keys, import, and a look as somebody else."""
