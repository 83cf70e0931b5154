"""Vector indexes: projections of SQL that can be rebuilt at any time."""
