"""Compare: finished runs side by side, on the rows that all of them were judged by."""
