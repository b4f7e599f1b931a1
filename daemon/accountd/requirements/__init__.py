"""What an organisation requires: its layers of TOML, where they come from, and who keeps them."""
