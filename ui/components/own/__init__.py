"""The parts of the account page: what everybody does with the own account."""
