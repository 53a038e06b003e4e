"""HTTP/1.1 for the inference port: connections, their limits and their end; no protocol of models."""
