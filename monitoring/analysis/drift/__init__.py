"""Drift detectors, one a file, and the budget that sets their thresholds."""
