"""The audit log: what is noted of whom, and the file that it is written to."""
