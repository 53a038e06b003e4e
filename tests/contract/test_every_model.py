"""One contract for every model: exported or imported, proven, published, loaded, and served with the same numbers.

A server process is asked over REST and gRPC; right is what the module, or the file as it came, gives by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from examples.bikeshare.demo.processes import Service
from staytrue.signature import NUMPY
from staytrue.store import Store
from tests.contract.clients import Answered, Ask, Grpc, RestBinary, Sent
from tests.contract.models import MODELS, Exam

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from staytrue.signature import TensorSpec

PROJECT = """\
name: every
store: store
data: {source: none.csv, time: t, target: y, features: {x: {kind: numeric}}}
serving: {log: events, max_body_bytes: 10000000}
"""


@dataclass
class Served:
    """A server of all models, what each must answer, and why some were not published."""

    service: Service
    store: Store
    exams: dict[str, Exam]
    failed: dict[str, BaseException]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Served]:
    """All that are asked for in one store, and one process that serves it."""
    here = [item for item in request.session.items if item.path == request.path and isinstance(item, pytest.Function)]
    names = {str(item.callspec.params["name"]) for item in here}
    folder = tmp_path_factory.mktemp("every")
    (folder / "staytrue.yaml").write_text(PROJECT)
    store, exams, failed = Store(folder / "store"), dict[str, Exam](), dict[str, BaseException]()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name in sorted(names):
        try:
            exams[name] = MODELS[name](name, store, folder)
        except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - raised in its test
            failed[name] = error
    torch.set_num_threads(threads)
    service = Service("serve", folder / "staytrue.yaml", folder / "out.log", "--port", "0", "--grpc-port", "0")
    yield Served(service, store, exams, failed)
    assert service.stop() == 0
    assert "Traceback" not in (folder / "out.log").read_text()


def array(spec: TensorSpec, data: bytes, shape: list[int]) -> NDArray[np.float64]:
    """Numbers of an answer."""
    return np.frombuffer(data, NUMPY[spec.datatype]).reshape(shape).astype(np.float64)


@pytest.mark.parametrize("name", MODELS)
def test_it_is_served_with_the_numbers_that_it_gives_by_itself(name: str, served: Served) -> None:
    if name in served.failed:
        raise served.failed[name]
    bundle, exam = served.store.load(name, "1"), served.exams[name]
    assert {proof.batch for proof in bundle.parity} >= {1, bundle.max_batch}
    kinds = {spec.name: spec.datatype for spec in bundle.signature.inputs}
    ask = Ask([Sent(key, kinds[key], given) for key, given in exam.asked.items()], model=name)
    answers = []
    for make in (RestBinary, Grpc):
        client = make(served.service)
        answers.append(client.infer(ask))
        client.close()
    rest, grpc = answers
    assert isinstance(rest, Answered), rest
    assert isinstance(grpc, Answered), grpc
    assert (rest.outputs, rest.version) == (grpc.outputs, "1")
    told = {key: (data, shape) for key, _, shape, data in rest.outputs}
    assert told.keys() == exam.right.keys()
    for spec in bundle.signature.outputs:
        (data, shape), right = told[spec.name], exam.right[spec.name]
        assert shape == list(right.shape)
        if spec.datatype == "BYTES":
            assert data == b"\0".join(str(text).encode() for text in right.ravel())
        else:
            scale = float(np.abs(right).max(initial=1e-6))
            np.testing.assert_allclose(array(spec, data, shape), right, rtol=1e-4, atol=1e-4 * scale)
