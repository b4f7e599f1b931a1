"""From bytes to messages and back, without a socket in sight: newline-delimited JSON, and WebSocket."""
