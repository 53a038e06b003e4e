"""The bike-sharing year."""
