"""What stands between the engine and everything that may fail: breakers, retries, bulkheads, deadlines, fallbacks."""
