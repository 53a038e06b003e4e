"""Runs by what they are called on the command line: a folder, a name among those of the project, or the newest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from staytrue.checkpoint import CHECKPOINT
from staytrue.errors import InvalidConfig, NotFound

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

SAID = "by its name in retraining.runs, or by its folder"
NAMED = 5
"""Runs that a message lists, the newest ones."""


def add_one(parser: argparse.ArgumentParser, name: str = "run") -> None:
    """The argument of a command that takes a finished run; ``name`` begins with ``--`` where it is a flag."""
    more: dict[str, Any] = {} if name.startswith("-") else {"nargs": "?"}
    parser.add_argument(name, type=Path, metavar="RUN", help=f"a finished run {SAID} (default: the newest)", **more)


def add_several(parser: argparse.ArgumentParser, what: str) -> None:
    """The arguments of a command that takes at least two finished runs; ``what`` is said of them beside."""
    told = f"two finished runs or more, each {SAID}; {what}"
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help=told)


def found(named: Path | None, runs: Path, name: str) -> Path:
    """The folder of a finished run; of a model the newest, where none is named.

    Raises:
        NotFound: there is none.
    """
    if named is None:
        from training.checkpoint import newest_run  # noqa: PLC0415 - it brings PyTorch, which --help does without

        return newest_run(runs, name)
    folder = placed(named, runs, CHECKPOINT)
    if (folder / CHECKPOINT).is_file():
        return folder
    there = sorted(path.parent.name for path in runs.glob(f"*/{CHECKPOINT}"))
    holds = f"{runs} holds {', '.join(there[-NAMED:])}; " if there else ""
    raise NotFound(str(named), "is no finished run", hint=f"{holds}`staytrue train` makes one")


def several(named: Sequence[Path], runs: Path) -> list[Path]:
    """The folders of finished runs.

    Raises:
        NotFound: there is none of that name.
        InvalidConfig: fewer than two, or one twice.
    """
    folders = [found(one, runs, "") for one in named]
    places = [folder.resolve() for folder in folders]
    twice = [str(one) for one, place in zip(named, places, strict=True) if places.count(place) > 1]
    if len(named) < 2 or twice:
        got = " and ".join(twice) if twice else f"{named[0]} alone"
        raise InvalidConfig("RUN", expected="two runs or more, each once", got=got, hint="name another one")
    return folders


def placed(named: Path, runs: Path, holds: str) -> Path:
    """Where a run lies that holds a file: in the folder named, else under this name among the runs."""
    if (named / holds).is_file() or not (runs / named).is_dir():
        return named
    return runs / named
