"""The socket seen from inside: connections, and what their requests are answered."""
