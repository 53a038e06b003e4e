"""What is said of a name that is not known: which there are, and which was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable


def meant(said: str, known: Iterable[str]) -> str:
    """A question for the known name that is nearest; empty where none is near.

    >>> meant("biks", ["bikes", "rentals"]), meant("weather", ["bikes"])
    ("did you mean 'bikes'?", '')
    """
    import difflib  # noqa: PLC0415 - only who errs needs it, and a server holds what it imports

    names = {name.lower(): name for name in known}
    near = difflib.get_close_matches(said.lower(), names, n=1)
    return f"did you mean '{names[near[0]]}'?" if near else ""


def no_model(name: str, models: list[str], store: str) -> NotFound:
    """What tells that a store has no such model."""
    there = f"models: {', '.join(models)}" if models else "models: none yet, `staytrue export` publishes one"
    question = meant(name, models)
    hint = f"{there}; {question}" if question else there
    return NotFound(f'model "{name}"', f'is not in the store "{store}"', hint=hint)
