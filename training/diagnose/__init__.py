"""Diagnose: what a finished run suffers from, by its curves and its training and validation rows. A fault a file."""
