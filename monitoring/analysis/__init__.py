"""From the rows of a window to evidence: checks, drift, quality, and Evidently's reports."""
