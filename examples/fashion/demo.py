"""``python -m examples.fashion.demo``: trains, serves, then sends clean, blurred, rotated and noisy pictures."""

from __future__ import annotations

import sys
from pathlib import Path

from examples.fashion.prepare import prepare
from examples.gallery.story import main

if __name__ == "__main__":
    sys.exit(main(prepare, Path(__file__).with_name("staytrue.yaml")))
