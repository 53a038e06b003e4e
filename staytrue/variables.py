"""The environment of this process and of those that it starts: the one place that reads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

GATEWAY = "STAYTRUE_GATEWAY"
"""Variable of the secret by which a process that our server starts knows its requests; no setting for people."""


def variables_of_process() -> Mapping[str, str]:
    """What this process was started with."""
    return os.environ  # noqa: TID251 - the one place that reads it


def gateway() -> str:
    """Secret of the server that has started this process; empty where none has."""
    return variables_of_process().get(GATEWAY, "")


def surroundings(added: Mapping[str, str]) -> dict[str, str]:
    """Environment of a process that we start: ours, and what is added."""
    return {**variables_of_process(), **added}


def set_for_libraries(added: Mapping[str, str]) -> None:
    """Variables that a library of others reads in this process and those it starts; what is set already stays."""
    for name, value in added.items():
        os.environ.setdefault(name, value)  # noqa: TID251 - as above


def set_for_processes(added: Mapping[str, str]) -> None:
    """Variables of those that a library of others starts from this one, which gives them its own."""
    os.environ.update(added)  # noqa: TID251 - as above
