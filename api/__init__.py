"""The programming interface over HTTP: one file for each kind of thing, without logic. Made by `api.app.build_api`."""
