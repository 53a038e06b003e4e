"""Every datatype over REST and gRPC and back, to the bit: a model that gives what it takes, in a real process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from examples.bikeshare.demo.processes import Service
from staytrue.readers import Reader
from staytrue.signature import NUMPY
from tests.contract.clients import (
    Answered,
    Ask,
    Grpc,
    GrpcAsynchronous,
    Rest,
    RestAsynchronous,
    RestBinary,
    Sent,
    plain,
)
from tests.contract.conftest import Server
from tests.contract.echo import extremes, make_store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PROJECT = """\
name: echo
store: store
data: {source: none.csv, time: t, target: y, features: {x: {kind: numeric}}}
serving: {log: events}
"""


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The model's server."""
    folder = tmp_path_factory.mktemp("echo")
    make_store(folder / "store")
    (folder / "staytrue.yaml").write_text(PROJECT)
    flags = ("--port", "0", "--grpc-port", "0", "--log", str(folder / "events"))
    service = Service("serve", folder / "staytrue.yaml", folder / "out.log", *flags)
    yield Server(service, Reader(folder / "events", "test"))
    assert service.stop() == 0


@pytest.mark.parametrize(
    ("client", "finite"),
    [
        (Rest, True),
        (RestBinary, True),
        (RestBinary, False),
        (Grpc, True),
        (Grpc, False),
        (RestAsynchronous, True),
        (GrpcAsynchronous, False),
    ],
)  # JSON has no NaN
def test_every_datatype_comes_back_to_the_bit_and_stands_so_in_the_event(
    echo: Server, client: type[Rest | Grpc], finite: bool
) -> None:
    arrays = {name: extremes(name, finite=finite) for name in NUMPY}
    caller = client(echo.service)
    told = caller.infer(Ask([Sent(name, name, array) for name, array in arrays.items()], model="echo"))
    caller.close()
    assert isinstance(told, Answered), told
    back = {name: content for name, _, _, content in told.outputs}
    assert back == {f"{name}_back": plain(array) for name, array in arrays.items()}
    assert [(datatype, shape) for _, datatype, shape, _ in told.outputs] == [(name, [4, 2]) for name in NUMPY]
    (event,) = echo.events()
    for tensor in event.inputs:
        assert plain(tensor.array()) == plain(arrays[tensor.name])
