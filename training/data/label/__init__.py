"""Label: what several annotators said of the same items becomes labels with a known worth."""
