"""``python -m training``: the commands of this part."""

from staytrue.command import main

if __name__ == "__main__":
    raise SystemExit(main())
