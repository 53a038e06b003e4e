"""The whole loop on the bike-sharing year; ``python -m examples.bikeshare.demo``."""
