"""The two stories, ingest and ask, readable from top to bottom."""
