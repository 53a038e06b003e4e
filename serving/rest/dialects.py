"""The forms in which predictions are asked for over HTTP: how each body is read, how each answer is written."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

from serving.http.exchange import JSON
from serving.rest import binary, codec, fast, legacy
from serving.rest import invocations as tables
from serving.rest.forms import Form, form_of
from staytrue.asking import HEADER
from staytrue.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.http.exchange import Exchange
    from serving.rest.codec import Sent
    from staytrue.bundle import Bundle
    from staytrue.tensors import Answer, Parsed

CSV = b"text/csv"
HEADER_LENGTH = HEADER.lower().encode()
"""As an exchange names it."""
LONG_BYTES = 64 * 1024
"""Longer JSON takes so long to read that every other caller of its thread would wait."""
GLANCE_BYTES = 512 * 1024
"""Numbers in JSON up to here are read within a millisecond by :mod:`serving.rest.fast`, which holds the interpreter's
lock meanwhile: in a thread of their own they would hold up the others as long, and cost several switches of threads."""


class Dialect(NamedTuple):
    """Reads a body by the model's bundle; writes an answer."""

    read: Callable[[Bundle, bytes], Parsed]
    write: Callable[[Answer], Sent]
    lasting: bool = True
    """Whether it holds for more than one request."""
    slow: Callable[[bytes], bool] = bool
    """Whether reading a long body takes as long: what are numbers in bytes is not read at all."""
    glance: Callable[[bytes], Parsed | None] | None = None
    """Reads what is quick to read in spite of its length, up to :data:`GLANCE_BYTES`."""
    form: Callable[[Bundle], Form | None] | None = None
    """How small bodies of it are read many at once, where they can be."""


def v2(exchange: Exchange, policy: str) -> Dialect:
    """The Open Inference Protocol, with tensors in JSON or as bytes behind it."""
    length = exchange.headers.get(HEADER_LENGTH)
    if length is None:
        return _v2_alone(policy)
    said = length.decode("latin-1")
    return Dialect(
        lambda bundle, body: binary.parse(body, said, policy, bundle.signature),
        partial(codec.write, nan_policy=policy),
        slow=lambda body: binary.slow(body, said, LONG_BYTES),
    )


@cache
def _v2_alone(policy: str) -> Dialect:
    """Tensors in JSON alone; one for all, by which requests that ask for the same are known to do so."""

    def read(_: Bundle, body: bytes) -> Parsed:
        try:
            return codec.parse(body, policy)
        except InvalidInput as error:
            raise binary.headless(error, body) from error

    return Dialect(read, partial(codec.write, nan_policy=policy), glance=fast.parse, form=form_of)


def v1(_: Exchange, policy: str) -> Dialect:
    """KServe's V1 and TensorFlow Serving's REST: rows as ``instances``, columns as ``inputs``."""
    columns = False

    def read(bundle: Bundle, body: bytes) -> Parsed:
        nonlocal columns
        parsed, columns = legacy.parse(body, bundle.signature, policy)
        return parsed

    return Dialect(read, lambda answer: (legacy.write(answer, policy, columns=columns), JSON, b""), lasting=False)


def predictions(_: Exchange, policy: str) -> Dialect:
    """TorchServe's address."""
    return Dialect(
        lambda bundle, body: legacy.parse_torchserve(body, bundle.signature, policy),
        lambda answer: (legacy.write_torchserve(answer, policy), JSON, b""),
    )


def invocations(exchange: Exchange, policy: str) -> Dialect:
    """SageMaker's and MLflow's address: JSON or CSV, and an answer in CSV where that is accepted alone.

    Raises:
        InvalidInput: the body is neither.
    """
    kind = exchange.text(b"content-type", "application/json").partition(";")[0].strip().lower()
    if kind not in ("application/json", "text/csv"):
        raise InvalidInput("header Content-Type", expected="application/json or text/csv", got=kind[:80])
    read = tables.parse_csv if kind == "text/csv" else tables.parse_json
    as_csv = "text/csv" in exchange.text(b"accept")

    def write(answer: Answer) -> Sent:
        return (tables.write_csv(answer, policy), CSV, b"") if as_csv else (tables.write(answer, policy), JSON, b"")

    return Dialect(lambda bundle, body: read(body, bundle.signature, policy), write, lasting=False)
