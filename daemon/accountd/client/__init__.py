"""The library for programs that use the daemon: `blocking`, on the standard library alone."""
