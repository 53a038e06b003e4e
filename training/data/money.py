"""Money: amounts as people write them, which are no numbers, and the SQL that makes them some."""

from __future__ import annotations

import re

_CURRENCY = r"(?:[$\u20ac\u00a3\u00a5]|USD|EUR|GBP|CHF|JPY)"
_DIGITS = r"\d[\d.,' ]*"
_AMOUNT = re.compile(rf"\s*[-+]?\s*(?:{_CURRENCY}\s*[-+]?\s*{_DIGITS}|{_DIGITS}{_CURRENCY})\s*")
_COMMA = re.compile(r",\d{1,2}\D*$")
"""A decimal one: of thousands there are three digits."""


def money_hint(column: str, text: str) -> str:
    """What to do where a number column holds an amount; empty where the text is none.

    >>> "regexp_replace" in money_hint("price", "$1,200.50"), money_hint("price", "1200")
    (True, '')
    """
    if not _AMOUNT.fullmatch(text):
        return ""
    name = '"' + column.replace('"', '""') + '"'
    plain = f"regexp_replace({name}, '[^0-9.-]', '', 'g')"
    if _COMMA.search(text):
        plain = f"replace(regexp_replace({name}, '[^0-9,-]', '', 'g'), ',', '.')"
    query = f"SELECT * REPLACE (CAST({plain} AS DOUBLE) AS {name}) FROM source"  # noqa: S608 - for people to copy
    return f"it holds money: say data.query: {query}"
