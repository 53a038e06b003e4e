"""Collect: what is in files, databases and folders becomes rows."""
