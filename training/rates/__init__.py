"""Rates: a test of learning rates on a fresh model, which proposes one."""
