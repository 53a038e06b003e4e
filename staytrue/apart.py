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
    from collections.abc import Callable

_PATH, _ERROR = "a path", "an error"
"""Single keys of the mappings that stand for what JSON has no form of."""
_SAID = ("where", "problem", "expected", "got", "hint", "retry_seconds")


def apart(work: Callable[[], Any], what: str) -> Any:
    """What the work gives: values that JSON knows, and paths. To be called before this process has threads.

    Args:
        work: to do.
        what: it is, for the message where its process ends without a word.

    Raises:
        StaytrueError: the very error that the work raised.
        InternalError: it raised another one, which its process has printed, or was killed.
    """
    told, tells = os.pipe()
    parent, process = os.getpid(), os.fork()
    if not process:
        os.close(told)
        _tell(work, tells, parent)
    os.close(tells)
    with os.fdopen(told, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(process, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise InternalError(what, f"the process that does it ended with {code}")
    given = json.loads(said, object_hook=_read)
    if isinstance(given, StaytrueError):
        raise given
    return given


def _tell(work: Callable[[], Any], tells: int, parent: int) -> NoReturn:
    """Do the work in this process, which is that of it alone, and write down what came of it."""
    code = 1
    try:
        end_with(parent, signal.SIGKILL)
        given: Any
        try:
            given = work()
        except StaytrueError as error:
            given = error
        said = json.dumps(given, default=_written).encode()
        with os.fdopen(tells, "wb") as pipe:
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
    raise TypeError(f"{type(value).__name__} cannot be told to another process")


def _read(found: dict[str, Any]) -> Any:
    if _PATH in found:
        return Path(found[_PATH])
    if _ERROR in found:
        return getattr(errors, found.pop(_ERROR))(**found)
    return found
