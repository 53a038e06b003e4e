"""Split: which rows train, which validate, and which stay sealed until the end."""
