"""Ensemble: several finished runs answer as one model, combined inside the exported graph."""
