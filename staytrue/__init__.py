"""The kernel of Staytrue: the records that pass between its parts, and nothing that knows a part."""

__version__ = "0.1.0"
