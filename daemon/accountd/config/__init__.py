"""What the person, the machine and the organisation have set: files, environment, limits, policy."""
