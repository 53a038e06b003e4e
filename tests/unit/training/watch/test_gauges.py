"""Gauges: asked over HTTP while a training goes on, gone when it ends."""

from __future__ import annotations

import socket
import threading
import urllib.request
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.trainings import FACTS
from training.watch.gauges import Gauges

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.trainings import Clock


def test_the_gauges_say_how_it_goes_and_end_with_it(clock: Clock, go: Callable[..., None]) -> None:
    """After three epochs of four and five steps of a second; the port is free again, the thread gone."""
    said: list[str] = []
    threads = threading.active_count()
    gauges = Gauges("127.0.0.1", 0, say=said.append, clock=clock, dropped=lambda: 2)
    gauges.began(FACTS)
    go(gauges, last=3)
    address = said[0].removeprefix("training metrics: ")
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - loopback
        families = {family.name: family.samples[0] for family in text_string_to_metric_families(answer.read().decode())}
    gauges.closed(None)
    assert {name.removeprefix("staytrue_training_"): sample.value for name, sample in families.items()} == {
        "epochs": 3,
        "steps": 15,
        "loss": 8 / 3,
        "validation": 1,
        "best_validation": 1,
        "best_epoch": 3,
        "learning_rate": 0.25,
        "rows_per_second": 200,
        "left_seconds": 5,
        "dropped_watchers": 2,
    }
    assert families["staytrue_training_loss"].labels == {"model": "toy"}
    assert families["staytrue_training_validation"].labels == {"model": "toy", "measure": "mae"}
    assert threading.active_count() == threads
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", int(address.split(":")[2].split("/")[0])))


def test_a_taken_port_is_an_error_of_the_beginning() -> None:
    """Which the others' caller tells, and goes on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        gauges = Gauges("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            gauges.began(FACTS)
        gauges.closed(None)
