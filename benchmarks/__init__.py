"""What the parts cost, each beside a baseline from the same run."""
