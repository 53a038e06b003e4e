"""Schema: what the columns must be, inferred once, reviewed by people, and checked on every load."""
