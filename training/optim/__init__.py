"""Optim: how a gradient becomes a step: the optimiser, its learning rates, and what keeps it from overfitting."""

from training.optim.optimiser import Optimiser

__all__ = ["Optimiser"]
