"""Compressed answers: for whom, which of them, and in which thread."""

from __future__ import annotations

import pytest

from serving.rest import bodies


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (b"gzip", b"gzip"),
        (b"gzip, deflate", b"gzip"),
        (b"gzip ;\tq=0.001", b"gzip"),
        (b"GZIP;Q=1.000", b"gzip"),
        (b"gzip;q=0.1, deflate;q=1", b"deflate"),
        (b"identity, gzip", b"gzip"),
        (b"identity;q=1, gzip;q=0.5", None),
        (b"gzip;\tq=0", None),
        (b"gzip; q=0.000", None),
        (b"gzip;q=0;x", None),
        (b"gzip;q=2", None),
        (b"gzip;q", None),
        (b"gzip;", None),
        (b"br", None),
        (b"", None),
    ],
)
def test_a_coding_is_taken_by_its_weight(accepted: bytes, coding: bytes | None) -> None:
    assert bodies.coding_of(accepted) == coding
