"""Tasks: what a model is for. A task a file; all that depends on it is asked of it."""
