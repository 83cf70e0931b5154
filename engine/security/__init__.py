"""Who is asking: passwords, sessions, the gate in front of everything."""
