"""Part of Staytrue."""
