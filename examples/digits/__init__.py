"""Handwritten digits: pictures of 8 by 8, from scikit-learn."""
