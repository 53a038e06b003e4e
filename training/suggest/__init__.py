"""Suggestions: what data and task speak for, as settings with their reasons."""
