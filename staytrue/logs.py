"""What the processes print of their work: a line each time, whatever callers put into it."""

from __future__ import annotations

import logging
import re

LONGEST = 4000
"""Letters of a message; a traceback comes behind it, whole."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Lines(logging.Formatter):
    r"""Writes a message as one line: nobody can make one of his own by what he sends, or colour the terminal.

    >>> record = logging.LogRecord("serving", logging.INFO, "", 0, 'version "%s"', ("2\n\x1b[31mall is well",), None)
    >>> Lines("%(name)s: %(message)s").format(record)
    'serving: version "2\\n\\x1b[31mall is well"'
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as logging names it
        """The line."""
        told = record.message
        if len(told) > LONGEST:
            told = f"{told[:LONGEST]}… ({len(told)} letters)"
        record.message = _CONTROL.sub(lambda found: repr(found[0])[1:-1], told)
        return super().formatMessage(record)


def configure() -> None:
    """Have this process print its log on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
