"""Clean: rows and values that would mislead a model are found, counted, and dropped or mended."""
