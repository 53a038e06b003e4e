"""Tune: a study of settings, tried on the rows that train and judged by those that validate."""
