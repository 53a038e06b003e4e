"""A port that another server has is told of at once, also where both would share it among processes."""

from __future__ import annotations

import socket

import pytest

from serving.ports import Ports, again, reserve
from staytrue.errors import InvalidConfig
from staytrue.server import ServingSection


def close(ports: Ports) -> None:
    """Let go of them."""
    for bound in (ports.rest, ports.grpc):
        if bound is not None:
            bound.close()


def settings(workers: int, port: int = 0) -> ServingSection:
    """Of a server with one port."""
    return ServingSection(workers=workers, port=port, grpc_port=None)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_server_is_told_that_the_port_is_taken_also_while_the_first_still_starts(workers: int) -> None:
    first = reserve(settings(2))
    port = first.rest.getsockname()[1]
    with pytest.raises(InvalidConfig, match=f"127.0.0.1:{port}: cannot be listened on: .*; choose another with --port"):
        reserve(settings(workers, port))
    own = [again(first, tells=place == 0) for place in range(2)]
    for ports in own:
        ports.rest.listen(1)
    with pytest.raises(InvalidConfig, match="cannot be listened on"):
        reserve(settings(workers, port))
    for ports in [*own, first]:
        close(ports)


def test_a_worker_is_started_again_beside_one_that_listens() -> None:
    first = reserve(settings(2))
    listening = again(first, tells=True)
    listening.rest.listen(1)
    second = again(first, tells=False)
    second.rest.listen(1)
    assert second.rest.getsockname() == listening.rest.getsockname() == first.rest.getsockname()
    for ports in (first, listening, second):
        close(ports)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_is_free_again_at_once_after_a_server_that_ended_its_connections(workers: int) -> None:
    first = reserve(settings(2))
    port = first.rest.getsockname()[1]
    own = again(first, tells=True)
    own.rest.listen(1)
    with socket.create_connection(("127.0.0.1", port)) as caller:
        taken, _ = own.rest.accept()
        taken.close()  # the server's side waits out its time from now on
        assert caller.recv(1) == b""
    for ports in (own, first):
        close(ports)
    close(reserve(settings(workers, port)))
