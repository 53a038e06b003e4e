"""Ports for programs that must be told where to listen, before they do."""

from __future__ import annotations

import itertools
import os
import socket

FIRST, COUNT = 12_000, 18_000
"""Below those that Linux gives to whoever asks for any: none of these is taken between the asking and the listening."""
APART = 251
"""Between two processes that follow each other, as workers of one run do: more than a run asks for."""

_numbers = itertools.count(os.getpid() * APART)


def free_port() -> int:
    """A port of loopback that nobody listens on, and that this process has given to nobody else."""
    for number in itertools.islice(_numbers, COUNT):
        port = FIRST + number % COUNT
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"no free port from {FIRST} on")
