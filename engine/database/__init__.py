"""The truth: users, documents, chunks, vectors, conversations, jobs and audit in SQL."""
