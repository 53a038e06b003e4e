"""What all ports may hold together."""

from __future__ import annotations

import pytest

from serving.inflight import Inflight
from tests.http_wire import Caller, Handler, post


class Port:
    """Holds what it is told to."""

    def __init__(self, inflight: Inflight, held: int = 0) -> None:
        self.held = held
        inflight.join(self)


def test_what_ports_hold_is_bounded_together() -> None:
    inflight = Inflight(100)
    first, second = Port(inflight, 60), Port(inflight)
    assert (inflight.total(), inflight.full(40), inflight.full(41)) == (60, False, True)
    second.held = 41
    assert inflight.full()
    first.held = 0
    assert (inflight.total(), inflight.full()) == (41, False)


@pytest.mark.parametrize("times", [1, 3], ids=["an unknown head", "a known head"])
def test_a_body_over_http_is_refused_for_what_another_port_holds(times: int) -> None:
    inflight = Inflight(50_000)
    other = Port(inflight)
    caller = Caller(Handler(), inflight=inflight, body_bytes=20_000)
    for _ in range(times - 1):
        assert caller.send(post(b"y" * 9000))[-1].status == 200
    other.held = 45_000
    told = caller.send(post(b"y" * 9000))[-1]
    assert told.status == 429
    assert b"50000 at most" in told.body
    other.held = 0
    assert [told.status for told in caller.send(post(b"y" * 9000))][-1] == 200
    assert inflight.total() == 0
