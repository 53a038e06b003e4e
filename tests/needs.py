"""Programs that tests run and pip cannot install: without one a test is skipped, in continuous integration it fails."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from staytrue.compiled import native

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process does not show what it has mapped")
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "java": "openjdk-17-jre-headless",
    "chromium": "chromium",
    "curl": "curl",
    "initdb": "postgresql",
    "pg_ctl": "postgresql",
}
"""Program → Debian's package of it."""


def needs(program: str) -> str:
    """Path of a program; skips the test that asks where it is not installed."""
    found = shutil.which(program)
    if found is None:
        missing(f"{program} is not installed: apt-get install {PACKAGES.get(program, program)}")
    return found


def needs_postgresql(program: str) -> str:
    """Path of one of PostgreSQL's programs, which Debian keeps off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return str(found[-1]) if found else needs(program)


def missing(why: str) -> NoReturn:
    """Skip the test, or fail it where everything must be there."""
    if os.environ.get("CI"):  # noqa: TID251 - no setting of Staytrue's
        pytest.fail(why)
    pytest.skip(why)


def needs_express() -> None:
    """Skips the test that asks where connections are not answered many at once: it takes Linux, and native/."""
    if sys.platform != "linux":
        pytest.skip("of Linux alone")
    needs_compiled()


def needs_compiled() -> None:
    """Skips the test that asks where native/ was not compiled."""
    if native is None:
        missing("native/ was not compiled: apt-get install gcc python3-dev, then rm .venv/.installed && make setup")


def needs_appender() -> None:
    """Skips the test that asks where the event log has no quick way; where it should have one, that has to be there."""
    needs_compiled()
    if sys.platform != "linux" or not hasattr(native, "checksum"):
        pytest.skip("the event log has no quick way here")
