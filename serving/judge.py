"""Whose fault it is when a model fails in a run: of its inputs, where it still answers its example; else ours."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import TYPE_CHECKING

from serving.runtimes.base import RunError
from staytrue.asking import example
from staytrue.errors import InvalidInput, Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.runtimes.base import Runtime
    from staytrue.signature import Signature

log = logging.getLogger(__name__)
LASTS_SECONDS, LASTS_RUNS = 1.0, 9.0
"""For so long what the example showed holds, and for so many times as long as it took: it costs a tenth at most."""
LONGEST_REASON = 200
_MEMORY = re.compile(
    r"bad_alloc|allocate memory|(out of|not enough) memory|Available memory of|MemoryError", re.IGNORECASE
)
_DEVICE = re.compile(
    r"\b(CUDA|CUDNN|CUBLAS(LT)?|CUFFT|CURAND|CUSPARSE|HIP|NCCL)( runtime)? (failure|error)|cudaError|CUDA_ERROR"
    r"|device-side assert|GPU=\d|TensorRT EP",
    re.IGNORECASE,
)
_NODE = re.compile(r"running (?P<operator>\w+) node\. Name:'(?P<node>[^']*)' Status Message: (?P<why>.*)", re.DOTALL)
_STATUS = re.compile(r"^.*\[ONNXRuntimeError\] : \d+ : \w+ : ", re.DOTALL)
_CHECK = re.compile(r"^.*? was false\. (?=\S)", re.DOTALL)
"""The condition that ONNX Runtime's own code looked at, with the function that it stands in."""
_PLACE = re.compile(r"^\S+\.(?:h|cc|cpp|cu|cuh):\d+ (?:\w+ )?")
_PATH = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?[/\\][^\s'\",;:]+(?::\d+)?")
_QUOTED = re.compile(r"(?<!\w)(?P<mark>['\"])(?=[^'\"]*[^\W\d_])[^'\"]*(?P=mark)(?!\w)")
"""A word in quotation marks, which may be a caller's; shapes in them stay."""
_NUMBERS = {"stod", "stof", "stold", "stoi", "stol", "stoll", "stoul", "stoull"}
"""Functions of C++, whose name is all that ONNX Runtime says where one of them fails."""


class Judge:
    """Tells what callers are told of a version's failed runs. For all threads.

    The version's example was answered when it was loaded. If it still is, the version and what runs it are sound, and
    it is the inputs that it cannot take.

    Args:
        name: of the model.
        version: of it.
        runtime: that runs it.
        signature: of its inputs.
        clock: seconds that never run backwards.
    """

    def __init__(
        self,
        name: str,
        version: str,
        runtime: Runtime,
        signature: Signature,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._version, self._runtime, self._signature = name, version, runtime, signature
        self._clock = clock
        self._turn = threading.Lock()
        self._sound, self._until = False, float("-inf")

    def told(self, error: Exception) -> Exception:
        """What the caller of a request that failed alone is told; an error that is ours comes back as it is."""
        if not isinstance(error, RunError):
            return error
        text, where = str(error), f'model "{self._name}" version {self._version}'
        if _MEMORY.search(text):
            log.error("%s: memory ran out in a run", where, exc_info=error)
            return Overloaded(where, "memory ran out in its run", hint="send fewer rows or smaller ones, or try again")
        if _DEVICE.search(text) or not self._answers():
            return error
        hint = f"compare them with the inputs in /v2/models/{self._name} and with the example in /docs"
        return InvalidInput(where, f"refused these inputs: {reason_of(text)}", hint=hint)

    def _answers(self) -> bool:
        """Whether the example is answered; seldom asked anew, so that bad inputs cost others little."""
        with self._turn:
            began = self._clock()
            if began >= self._until:
                try:
                    self._runtime.run(example(self._signature))
                    self._sound = True
                    log.warning("%s version %s refuses callers' inputs; events say why", self._name, self._version)
                except Exception as error:  # noqa: BLE001 - the error of the run is told
                    self._sound = False
                    log.warning("%s version %s fails on its example too: %r", self._name, self._version, error)
                now = self._clock()
                self._until = now + max(LASTS_SECONDS, LASTS_RUNS * (now - began))
            return self._sound


def reason_of(text: str) -> str:
    """What a runtime says, in one short line without places in its source, paths, or words that may be a caller's.

    >>> reason_of("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Cast node. "
    ...           "Name:'c1' Status Message: stod")
    "Cast 'c1': a text is not the number that it has to be"
    """
    node = _NODE.search(text)
    lines = [line.strip() for line in (node["why"] if node else text).splitlines() if line.strip()]
    # TorchScript ends with what happened, after its traceback.
    why = (lines[-1] if "Traceback" in text else lines[0]) if lines else ""
    for noise in (_STATUS, _CHECK, _PLACE):
        why = noise.sub("", why)
    why = _QUOTED.sub("…", _PATH.sub("…", why.removeprefix("RuntimeError: ")))
    if why in _NUMBERS:
        why = "a text is not the number that it has to be"
    if node:
        name = node["node"].replace("\\", "/").rsplit("/", 1)[-1]
        why = f"{node['operator']} '{name}': {why}" if name else f"{node['operator']}: {why}"
    return "".join(letter for letter in why if letter.isprintable())[:LONGEST_REASON] or "no reason is given"
