"""The ChatGPT API: what is asked of it, what it answers, and what clients are told of that."""
