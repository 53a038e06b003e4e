"""Evaluate: how good a model's answers are, with intervals that allow for neighbours in time being alike."""
