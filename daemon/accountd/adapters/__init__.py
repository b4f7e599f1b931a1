"""The world outside, one foreign thing a file. What it raises stops here: only `accountd.errors` leaves."""
