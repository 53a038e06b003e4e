"""``python -m staytrue``."""

from staytrue.command import main

raise SystemExit(main())
