"""The practitioner's work: data to a finished run, and a retraining job to its verdict."""
