"""The command ``keys``: make, list and remove the keys that callers of a server send."""

from __future__ import annotations

import base64
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from serving import keyring
from serving.keyring import PREFIX, SCOPES, Key
from staytrue.errors import Conflict, NotFound

if TYPE_CHECKING:
    import argparse

FILE = Path("keys.yaml")
RANDOM_BYTES = 32


class Keys:
    """``staytrue keys``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        help_file = "the keys file; JSON where it ends in .json (default: %(default)s)"
        actions = parser.add_subparsers(dest="action", required=True, metavar="new|list|remove", help="what to do")
        new = actions.add_parser("new", help="make a key, print it this once, and add its hash to the file")
        new.add_argument("--name", required=True, help="whose it is: for logs and this list")
        new.add_argument("--scopes", required=True, help=f"what it may do, with commas: {', '.join(SCOPES)}")
        new.add_argument(
            "--requests-per-second", type=float, help="how often it may ask (default: as often as it likes)"
        )
        new.add_argument("--burst", type=float, help="how often at once (default: what one second allows)")
        listing = actions.add_parser("list", help="list names, scopes and limits")
        remove = actions.add_parser("remove", help="remove a key: running servers refuse it within two seconds")
        remove.add_argument("--name", required=True, help="whose it is")
        for action in (new, listing, remove):
            action.add_argument("--file", type=Path, default=FILE, help=help_file)

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it.

        Raises:
            InvalidConfig: a name, a scope or a limit that is none; a file that cannot be read or written.
            Conflict: the name is taken.
            NotFound: no key of that name.
        """
        {"new": _new, "list": _list, "remove": _remove}[arguments.action](arguments)
        return 0


keys = Keys()


def new_secret() -> str:
    """A key: nobody guesses 32 random bytes."""
    return PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(RANDOM_BYTES)).rstrip(b"=").decode()


def _new(arguments: argparse.Namespace) -> None:
    secret = new_secret()
    key = Key(
        name=keyring.check_name(arguments.name, "--name"),
        digest=keyring.digest_of(secret),
        scopes=keyring.check_scopes(arguments.scopes.split(","), "--scopes"),
        limit=keyring.check_limit(arguments.requests_per_second, arguments.burst, "limit "),
    )
    with keyring.locked(arguments.file):
        there = keyring.read(arguments.file) if arguments.file.exists() else ()
        if any(other.name == key.name for other in there):
            raise Conflict(f'key "{key.name}"', f"is in {arguments.file} already", hint="choose another name")
        keyring.write(arguments.file, (*there, key))
    print(secret, flush=True)
    print(f'the key of "{key.name}", shown this once; {arguments.file} holds its hash', file=sys.stderr)


def _list(arguments: argparse.Namespace) -> None:
    for key in keyring.read(arguments.file):
        limit = f"{key.limit.requests_per_second:g} a second, {key.limit.burst:g} at once" if key.limit else "no limit"
        print(f"{key.name}: {', '.join(sorted(key.scopes))}; {limit}")


def _remove(arguments: argparse.Namespace) -> None:
    name = keyring.check_name(arguments.name, "--name")
    with keyring.locked(arguments.file):
        there = keyring.read(arguments.file)
        left = tuple(key for key in there if key.name != name)
        if len(left) == len(there):
            hint = f"keys: {', '.join(key.name for key in there) or 'none'}"
            raise NotFound(f'key "{name}"', f"is not in {arguments.file}", hint=hint)
        keyring.write(arguments.file, left)
    print(f'removed the key of "{name}" from {arguments.file}')
