"""The operating system: one foreign thing a file."""
