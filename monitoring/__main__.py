"""``python -m monitoring``: the same as ``staytrue monitor``."""

import sys

from staytrue.command import main

raise SystemExit(main(["monitor", *sys.argv[1:]]))
