"""TOML that anybody may have written: parsed within bounds, and read from files, whose lines are told."""
