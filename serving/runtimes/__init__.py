"""What runs a model: one protocol, one runtime a file."""
