"""A real PostgreSQL server, on a socket in a folder of its own, gives the rows that the file gives."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import psycopg
import pytest

from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.project import load
from tests.needs import needs_postgresql
from tests.unit.training.collect.conftest import EXAMPLE
from training.data.collect.source import collect, collected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staytrue.preparation import DataSection

    Make = Callable[..., DataSection]

USER = "postgres"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a server that holds the bikes' year as a table; root may not run one, so another user does."""
    programs = {name: needs_postgresql(name) for name in ("initdb", "pg_ctl")}
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path may have 107 bytes
    owner = {"user": USER} if os.getuid() == 0 else {}
    if owner:
        os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)

    def run(name: str, *arguments: str) -> None:
        command = [programs[name], "-D", f"{folder}/data", *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=60, **owner)  # type: ignore[call-overload]

    try:
        run("initdb", "-A", "trust", "-U", USER, "--no-sync", "--encoding=UTF8", "--locale=C")
        options = f"-k {folder} -c listen_addresses= -c fsync=off -c shared_buffers=16MB"
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            address = f"postgresql:///{USER}?host={folder}&user={USER}"
            _fill(address)
            yield address
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _fill(address: str) -> None:
    frame = pd.read_csv(EXAMPLE.with_name("hourly.csv"))
    words = {"int64": "bigint", "float64": "numeric(12,6)"}
    columns = ", ".join(f'"{name}" {words.get(str(kind), "text")}' for name, kind in frame.dtypes.items())
    with psycopg.connect(address) as database, database.cursor() as cursor:
        cursor.execute(f"CREATE TABLE hours ({columns})".encode())
        with cursor.copy("COPY hours FROM STDIN WITH (FORMAT csv, HEADER)") as copy:
            copy.write(frame.to_csv(index=False))
        cursor.execute(
            "CREATE TABLE kinds AS SELECT timestamptz '2024-01-01 01:00+01' AS at, date '2024-01-01' AS day, "
            "1::real AS x, true AS b, NULL::integer AS n, 'a'::varchar AS t, '{\"k\": 1}'::jsonb AS j, 7::smallint AS y"
        )


def test_a_table_gives_the_same_rows(server: str, section: Make) -> None:
    found = collected(section(sources={"bikes": {"url": server, "table": "public.hours"}}))
    assert found.fingerprint.sha256 == collect(load(EXAMPLE).data)[1].sha256
    assert (found.report.sources[0].format, found.report.sources[0].rows) == ("postgresql", 8645)


def test_a_query_is_answered_by_the_server(server: str, section: Make) -> None:
    source = {"url": server, "query": "SELECT * FROM hours WHERE day <= 120;"}
    found = collected(section(sources={"bikes": source}))
    assert found.fingerprint.sha256 == collect(load(EXAMPLE).data)[1].sha256
    assert found.report.sources[0].rows == len(found.rows)


def test_its_types_are_kept(server: str, section: Make) -> None:
    features = {"x": {"kind": "numeric"}, "t": {"kind": "category"}}
    sources = {"k": {"url": server, "table": "kinds"}}
    rows, fingerprint = collect(section(sources=sources, query="FROM k", time="at", target="y", features=features))
    assert rows.time.tolist() == [1704067200.0]
    assert fingerprint.columns == {
        "at": "TIMESTAMP WITH TIME ZONE",
        "day": "DATE",
        "x": "DOUBLE",
        "b": "BOOLEAN",
        "n": "BIGINT",
        "t": "VARCHAR",
        "j": "VARCHAR",
        "y": "BIGINT",
    }


def test_nothing_can_be_changed(server: str, section: Make) -> None:
    source = {"url": server, "query": "WITH gone AS (DELETE FROM hours RETURNING *) SELECT * FROM gone"}
    with pytest.raises(InvalidInput, match=r"data\.sources\.bikes: the server says"):
        collect(section(sources={"bikes": source}))
    assert collected(section(sources={"bikes": {"url": server, "table": "hours"}})).report.sources[0].rows == 8645


def test_what_is_wrong_is_said(server: str, section: Make) -> None:
    with pytest.raises(InvalidInput, match='relation "minutes" does not exist'):
        collect(section(sources={"bikes": {"url": server, "table": "minutes"}}))
    with pytest.raises(InvalidConfig, match="says neither table nor query"):
        collect(section(sources={"bikes": {"url": server}}))
    with pytest.raises(InvalidInput, match="the server says: connection"):
        collect(section(sources={"bikes": {"url": "postgresql://127.0.0.1:9/x", "table": "hours"}}))
