"""For all tests: property tests are judged by what they find, not by how busy the machine is; workers share them."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import workers

settings.register_profile("staytrue", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("staytrue")


def pytest_configure(config: pytest.Config) -> None:
    """Only workers take turns; and what tests start ends on SIGHUP and SIGINT, also where nohup or ``&`` began them."""
    for number, usual in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(workers.Turns())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first, where workers share them."""
    if hasattr(config, "workerinput"):
        items.sort(key=workers.rank)


def pytest_collection_finish() -> None:
    """Exports share what they all read, where there are any."""
    if "export.onnx" in sys.modules:
        from tests import exporter

        exporter.read_once()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give tests to workers by group, the first one first; with pytest 9.2, xdist 3.8 loses sight of its own groups."""
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False
    made = LoadScopeScheduling(config, log)
    made._split_scope = workers.group_of
    return made
