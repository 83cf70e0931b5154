"""What pages are made of: the frame, the session, failures and components. It shows; the engine decides."""
