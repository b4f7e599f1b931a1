"""What is the peer's, and changes with its releases: one place to look at when a new one comes."""
