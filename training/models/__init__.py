"""Architectures, and the module that joins one with its encoder."""
