"""Who is in the secured app."""

PASSWORD = "correct horse battery"
PEOPLE = {"alice": "analyst", "bob": "analyst", "oscar": "operator", "root": "admin"}
