"""Requests to answers and events. Imports the kernel and nothing else of the repository; never torch."""
