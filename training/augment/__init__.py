"""Augmentation: training rows varied anew in each epoch, the same way whenever the same run comes by."""
