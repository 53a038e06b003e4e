"""Account: what a finished run tells people, on one page."""
