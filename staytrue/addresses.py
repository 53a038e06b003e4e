"""Addresses: what of them may be shown: no password, no query string, and no option that is named like a secret."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

MASK = "***"
_SCHEME = r"[a-z][a-z0-9+.-]+:/{1,2}"
# A colon and digits alone are a port, after which an @ belongs to the path; a database's name holds none.
_USER = re.compile(
    rf"({_SCHEME}(?!\[)[^/:?\s]*):(?!\d*(?:[/?#]|$))\S.*@|(postgres(?:ql)?:/{{1,2}}[^/:?\s]*):\d*/[^?]*@", re.IGNORECASE
)
_PASSWORD = re.compile(r"[?&;][^=&;]*pass(?:word|wd|phrase)?=", re.IGNORECASE)
_QUERY = re.compile(rf"({_SCHEME}[^?]*)\?.+", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(rf"{_SCHEME}[^\s'\"<>]+", re.IGNORECASE)
_PLAIN = {"host", "hostaddr", "port", "user", "dbname", "sslmode"}
_SECRET = re.compile(r"secret|pass(?:word|wd|phrase)|pwd|token|key|credential|signature", re.IGNORECASE)


def has_password(address: str) -> bool:
    """Whether user-info or query hold one.

    >>> has_password("postgresql://me:a/b@db/x"), has_password("postgresql://me@db:5432/x?sslmode=require")
    (True, False)
    """
    return bool(_USER.search(address) or _PASSWORD.search(unquote(address)))


def masked(address: object) -> str:
    """An address without password and query string; any other text, paths included, as it is.

    >>> masked("https://me:geheim@host/a.csv?token=geheim"), masked("days/?.csv")
    ('https://me:***@host/a.csv?***', 'days/?.csv')
    """
    hidden = _USER.sub(lambda found: f"{found[1] or found[2]}:{MASK}@", str(address))
    return _QUERY.sub(rf"\1?{MASK}", hidden)


def shown(path: Path) -> str:
    """A path as people can use it where they are: without the working directory, if it lies below.

    >>> shown(Path.cwd() / "data" / "a.csv"), shown(Path("/elsewhere/a.csv")), shown(Path("a.csv"))
    ('data/a.csv', '/elsewhere/a.csv', 'a.csv')
    """
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) and path != here else path)


def masked_in(text: object, address: str = "") -> str:
    """A text with its addresses masked: the one that it is about, and what else looks like one.

    >>> masked_in("404 of 'https://host/a?token=geheim': not found")
    "404 of 'https://host/a?***': not found"
    """
    said = str(text).replace(address, masked(address)) if address else str(text)
    for part in address.partition("?")[2].split("&"):  # a driver may quote one of them alone
        name, _, value = part.rpartition("=")
        if value and name not in _PLAIN:
            said = re.sub(rf"(?<=[\"'])({re.escape(value)}|{re.escape(unquote(value))})(?=[\"'])", MASK, said)
    return _ADDRESS.sub(lambda found: masked(found[0]), said)


def is_secret(name: str) -> bool:
    """Whether an option is named like a secret.

    >>> is_secret("fs_secret"), is_secret("delim")
    (True, False)
    """
    return bool(_SECRET.search(name))
