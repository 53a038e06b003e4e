"""Encode: raw features become numbers, by a module that is part of the exported graph."""
