"""What the front costs: beside its Codex, asked at its own socket, and beside a Codex with a login of its own."""
