"""``python -m serving``: the same as ``staytrue serve``."""

import sys

from staytrue.command import main

raise SystemExit(main(["serve", *sys.argv[1:]]))
