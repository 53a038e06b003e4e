"""What training reaches on real data, and in which time: a registry of cases, and the command that runs them."""
