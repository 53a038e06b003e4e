"""From a source to encoded rows: collect, clean, split, encode."""
