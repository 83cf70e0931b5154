"""What the facade delegates to: accounts, the library of documents, and the indexes that follow SQL."""
