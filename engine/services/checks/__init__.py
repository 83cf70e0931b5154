"""The health checks, one concern a file. `engine.services.checkup` puts them together, docs/health.md lists them."""
