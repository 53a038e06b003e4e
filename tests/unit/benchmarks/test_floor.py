"""The peer that answers from memory: each question is asked of the model once."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.floor import Floor


class Transport:
    """Holds what was sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send."""
        self.sent.append(data)


def test_the_same_body_is_answered_from_memory_whatever_its_head() -> None:
    asked: list[bytes] = []

    def ask(body: bytes) -> bytes:
        asked.append(body)
        return b"to " + body

    floor, transport = Floor({}, ask), Transport()
    wire: Any = transport
    floor.connection_made(wire)
    for head, body in ((b"a", b"1"), (b"b", b"2"), (b"c", b"1")):
        floor.data_received(head + b"\r\n\r\n" + body)
    assert transport.sent == [b"to 1", b"to 2", b"to 1"]
    assert asked == [b"1", b"2"]
