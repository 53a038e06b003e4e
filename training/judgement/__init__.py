"""Judgement: what a finished run is worth, by its own validation rows or, once, by the sealed ones."""
