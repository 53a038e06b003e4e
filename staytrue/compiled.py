"""What native/ compiles: all of it, or None. An older build, which lacks some of it, counts as none."""

from __future__ import annotations

import sys
from typing import Any

_PARTS = ("Reader", "filled", "floats", "weave", *(("Express", "answer") if sys.platform == "linux" else ()))
native: Any
"""The module :mod:`staytrue.native`, whose types stand in ``native.pyi``."""
try:
    from staytrue import native
except ImportError:  # there was no compiler when this was installed
    native = None
else:
    native = native if all(hasattr(native, part) for part in _PARTS) else None
