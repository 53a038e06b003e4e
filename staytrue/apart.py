"""Work in a process of its own that ends with it: what the work imports and takes is not left in this one."""

from __future__ import annotations

import json
import os
import signal
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from staytrue import errors
from staytrue.errors import InternalError, StaytrueError
from staytrue.orphans import end_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PATH, _ERROR, _MISSING = "\0a path", "\0an error", "\0a missing module"
"""Single keys of the mappings that stand for what JSON has no form of; no name begins like them."""
_SAID = ("where", "problem", "expected", "got", "hint", "retry_seconds")


def apart(work: Callable[[], Any], what: str) -> Any:
    """What the work gives: values that JSON knows, and paths; tuples come as lists.

    To be called before this process has threads of its own making: the new one has none but this.

    Args:
        work: to do.
        what: it is, for the message where its process ends without a word.

    Raises:
        StaytrueError: one that says what the work's error said, of its class.
        ModuleNotFoundError: the work lacked it.
        InternalError: it raised another one, which its process has printed, or was killed.
    """
    told, tells = os.pipe()
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))  # the new process must not end as this one does
    try:
        process = os.fork()
        if not process:
            _tell(work, (told, tells), parent, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(tells)
    with os.fdopen(told, "rb") as pipe:
        said = pipe.read()
    if code := _ended(process):
        raise InternalError(what, f"the process that does it ended with {code}")
    try:
        given = json.loads(said, object_hook=_read)
    except ValueError as error:
        raise InternalError(what, "the process that does it ended without a word") from error
    if isinstance(given, StaytrueError | ModuleNotFoundError):
        raise given
    return given


def _ended(process: int) -> int:
    """Its exit code; 0 also where nobody is told: whoever started this process may have left SIGCHLD ignored."""
    try:
        _, status = os.waitpid(process, 0)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status)


def _tell(work: Callable[[], Any], pipes: tuple[int, int], parent: int, mask: Iterable[int]) -> NoReturn:
    """Do the work in this process, which is that of it alone, and write down what came of it."""
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(pipes[0])
        end_with(parent, signal.SIGKILL)
        given: Any
        try:
            given = work()
        except (StaytrueError, ModuleNotFoundError) as error:
            given = error
        said = json.dumps(given, default=_written).encode()
        with os.fdopen(pipes[1], "wb") as pipe:
            pipe.write(said)
        code = 0
    except KeyboardInterrupt:  # the parent has it too, and tells of it
        pass
    except BaseException:  # noqa: BLE001 - nobody else would ever hear of it
        traceback.print_exc()
    finally:
        os._exit(code)


def _written(value: object) -> dict[str, Any]:
    if isinstance(value, Path):
        return {_PATH: str(value)}
    if isinstance(value, StaytrueError):
        return {_ERROR: type(value).__name__, **{name: getattr(value, name) for name in _SAID}}
    if isinstance(value, ModuleNotFoundError):
        return {_MISSING: value.name, "said": str(value)}
    raise TypeError(f"{type(value).__name__} cannot be told to another process")


def _read(found: dict[str, Any]) -> Any:
    if _PATH in found:
        return Path(found[_PATH])
    if _ERROR in found:
        return getattr(errors, found.pop(_ERROR))(**found)
    if _MISSING in found:
        return ModuleNotFoundError(found["said"], name=found[_MISSING])
    return found
