"""Each form that a source may have gives the same rows of the bikes' year: one digest of the content."""

from __future__ import annotations

import functools
import gzip
import http.server
import sqlite3
import sys
import threading
from typing import TYPE_CHECKING, Any, ClassVar

import duckdb
import fsspec
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.registry import _registry

from staytrue.errors import InvalidConfig, InvalidInput, NotFound, StaytrueError, Unsupported
from tests.buckets import Bucket
from training.data.collect.source import collect, collected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.preparation import DataSection

    Make = Callable[..., DataSection]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """The file as pandas reads it."""
    from tests.unit.training.collect.conftest import EXAMPLE

    return pd.read_csv(EXAMPLE.with_name("hourly.csv"))


@pytest.fixture(scope="module")
def digest() -> str:
    """Of the rows as ``data.source`` reads them."""
    from staytrue.project import load
    from tests.unit.training.collect.conftest import EXAMPLE

    return collect(load(EXAMPLE).data)[1].sha256


def _csv(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    frame.to_csv(folder / "bikes.csv", index=False)
    return {"path": folder / "bikes.csv"}


def _semicolons(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    frame.to_csv(folder / "bikes.txt", index=False, sep=";", decimal=",")
    options = {"delim": ";", "decimal_separator": ","}
    return {"path": folder / "bikes.txt", "format": "csv", "options": options}


def _tsv(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    frame.to_csv(folder / "bikes.tsv", index=False, sep="\t")
    return {"path": folder / "bikes.tsv"}


def _packed(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    frame.to_csv(folder / "bikes.csv.gz", index=False)
    return {"path": folder / "bikes.csv.gz"}


def _parquet(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    pq.write_table(pa.Table.from_pandas(frame), folder / "bikes.parquet")
    return {"path": folder / "bikes.parquet"}


def _lines(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    frame.to_json(folder / "bikes.jsonl", orient="records", lines=True)
    return {"path": folder / "bikes.jsonl"}


def _array(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    frame.to_json(folder / "bikes.json", orient="records")
    return {"path": folder / "bikes.json"}


def _zstandard(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    with duckdb.connect() as connection:
        connection.register("frame", frame)
        connection.execute(f"COPY frame TO '{folder / 'bikes.csv.zst'}' (FORMAT csv, COMPRESSION zstd)")
    return {"path": folder / "bikes.csv.zst"}


def _excel(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    book = openpyxl.Workbook(write_only=True)
    book.create_sheet("notes").append(["nothing", "here"])
    sheet = book.create_sheet("hours")
    sheet.append(list(frame.columns))
    for row in frame.itertuples(index=False):
        sheet.append(row)
    book.save(folder / "bikes.xlsx")
    return {"path": folder / "bikes.xlsx", "table": "hours"}


def _sqlite(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    with sqlite3.connect(folder / "bikes.db") as database:
        frame.to_sql("hours", database, index=False)
    database.close()
    return {"path": folder / "bikes.db", "table": "hours"}


def _glob(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    for place in range(3):
        part = frame.iloc[place * 3000 : (place + 1) * 3000]
        columns = list(part.columns) if place else list(part.columns[::-1])  # by name, not by place
        part[columns].to_csv(folder / f"part{place}.csv", index=False)
    return {"path": folder / "part*.csv"}


def _address(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    with fsspec.open(f"memory://{folder.name}/bikes.csv.gz", "wb") as stream:
        stream.write(gzip.compress(frame.to_csv(index=False).encode()))
    return {"url": f"memory://{folder.name}/bikes.csv.gz"}


def _file_address(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    _glob(frame, folder)
    return {"url": (folder / "part*.csv").as_uri().replace("%2A", "*")}


def _made(frame: pd.DataFrame, folder: Path, returned: str) -> dict[str, Any]:
    """A function of somebody's own, and the file that it is given."""
    frame.to_csv(folder / "bikes.csv", index=False)
    (folder / "ours.py").write_text(
        "import pandas as pd\nimport pyarrow as pa\nfrom pyarrow import csv\n\n\n"
        f"def bikes(path):\n    return {returned}\n"
    )
    return {"factory": "ours:bikes", "options": {"path": str(folder / "bikes.csv")}}


def _factory(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    return _made(frame, folder, "{n: c.to_numpy() for n, c in pd.read_csv(path).items()}")


def _factory_of_a_table(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    return _made(frame, folder, "pa.Table.from_pandas(pd.read_csv(path))")


def _factory_of_batches(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    return _made(frame, folder, "csv.open_csv(path)")


FORMS = {
    form.__name__.strip("_"): form
    for form in (
        *(_csv, _semicolons, _tsv, _packed, _zstandard, _parquet, _lines, _array, _excel, _sqlite),
        *(_glob, _address, _file_address, _factory, _factory_of_a_table, _factory_of_batches),
    )
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_rows(
    form: str, frame: pd.DataFrame, digest: str, section: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    frame = frame[frame.day <= 120] if form == "excel" else frame  # which is slow to read
    try:
        found = collected(section(sources={"bikes": FORMS[form](frame, tmp_path)}))
    finally:
        sys.modules.pop("ours", None)
    assert found.fingerprint.rows == len(frame[frame.day <= 120])
    assert found.fingerprint.sha256 == digest
    assert [(source.rows, source.bad_rows) for source in found.report.sources] == [(len(frame), 0)]
    assert not (tmp_path / "quarantine.csv").exists()


def test_the_rows_are_those_that_pandas_reads(frame: pd.DataFrame, section: Make, bikes: Path) -> None:
    """Which the digest stands for."""
    data = section(source=bikes)
    rows = collect(data)[0]
    wanted = frame[frame.day <= 120]
    hours = (wanted.day - 1) * 24 + wanted.hr
    assert np.array_equal(rows.time, pd.Timestamp("2011-01-01", tz="UTC").timestamp() + 3600.0 * hours)
    assert np.array_equal(rows.target, wanted.bikers)
    for name, feature in data.features.items():
        expected = wanted[name].astype("float32" if feature.kind == "numeric" else wanted[name].dtype)
        assert np.array_equal(rows.columns[name], expected), name


class _Locked(Bucket):
    """Lets in whoever has its keys."""

    store: ClassVar[dict[str, Any]] = {}

    def __init__(self, key: str = "", secret: str = "", endpoint_url: str = "", **_: object) -> None:
        super().__init__()
        if (key, secret, endpoint_url) != ("us", "geheim", "https://minio"):
            raise PermissionError("Forbidden")


def test_objects_of_a_bucket_are_read_by_a_pattern_with_the_keys_of_the_options(
    frame: pd.DataFrame, digest: str, section: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_registry, "s3", _Locked)
    keys = {"key": "us", "secret": "geheim", "endpoint_url": "https://minio"}
    for month, part in frame.groupby("mnth"):
        with fsspec.open(f"s3://rentals/2011/{month}.csv", "wb", **keys) as stream:
            stream.write(part.to_csv(index=False).encode())
    given = {f"fs_{key}": value for key, value in keys.items()} | {"delim": ","}
    query = f"{section().query} ORDER BY time"
    found = collected(section(sources={"bikes": {"url": "s3://rentals/2011/*.csv", "options": given}}, query=query))
    assert found.fingerprint.sha256 == digest
    assert (found.report.sources[0].place, found.report.sources[0].rows) == ("April.csv and 11 more", 8645)
    with pytest.raises(InvalidInput, match=r"s3://rentals/2011/\*\.csv cannot be read: Forbidden") as caught:
        collected(section(sources={"bikes": {"url": "s3://rentals/2011/*.csv", "options": given | {"fs_key": "x"}}}))
    assert "geheim" not in str(caught.value)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_file_on_a_web_server_is_read(frame: pd.DataFrame, section: Make, digest: str, tmp_path: Path) -> None:
    _parquet(frame, tmp_path)
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/bikes.parquet"
        found = collected(section(sources={"bikes": url}))
        with pytest.raises(NotFound, match=r"data\.sources\.bikes: no file http://"):
            collect(section(sources={"bikes": url.replace("bikes", "cars")}))
        server.shutdown()
    assert found.fingerprint.sha256 == digest
    assert found.report.sources[0].place == "bikes.parquet"


def test_a_source_may_be_its_path_alone_and_bears_its_name(bikes: Path, section: Make, digest: str) -> None:
    query = section().query.replace("FROM source", "FROM hours")
    _, fingerprint = collect(section(sources={"hours": str(bikes)}, query=query))
    assert (fingerprint.source, fingerprint.sha256) == ("hours", digest)


def test_a_database_may_be_asked(frame: pd.DataFrame, section: Make, digest: str, tmp_path: Path) -> None:
    source = _sqlite(frame, tmp_path) | {"table": "", "query": "SELECT * FROM hours WHERE day <= 120;"}
    found = collected(section(sources={"bikes": source}))
    assert (found.fingerprint.sha256, found.report.sources[0].rows) == (digest, len(frame[frame.day <= 120]))


def test_a_database_stays_as_it_is(frame: pd.DataFrame, section: Make, tmp_path: Path) -> None:
    source = _sqlite(frame, tmp_path) | {"table": "", "query": "DELETE FROM hours RETURNING *"}
    with pytest.raises(InvalidInput, match=r"data\.sources\.bikes: bikes\.db cannot be read"):
        collect(section(sources={"bikes": source}))


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        ({"path": "none.csv"}, NotFound, "data.sources.s: no file"),
        ({"path": "data.docx"}, Unsupported, "got .docx; say format:"),
        ({"url": "s3://bucket/data.csv"}, Unsupported, "pip install s3fs"),
        ({"url": "memory://nothing/here.csv"}, NotFound, "no file memory://nothing/here.csv"),
        ({"factory": "nowhere.at:all"}, InvalidConfig, "nowhere.at:all cannot be imported"),
        ({"factory": "builtins:list"}, InvalidInput, "expected an Arrow table"),
        ({"path": "it.csv", "options": {"ignore_errors": True}}, InvalidConfig, "ignore_errors cannot be set"),
        ({"path": "it.csv", "options": {"delimitre": ";"}}, InvalidConfig, "data.sources.s: Binder Error"),
        ({"path": "it.csv", "columns": {"nope": "DATE"}}, InvalidConfig, 'no column "nope"; there are at, x, y'),
        ({"path": "none.tsv"}, InvalidInput, "got an empty file, none.tsv; write one"),
        ({"path": "it.db"}, InvalidConfig, "says neither table nor query"),
        ({"path": "it.db", "table": "t"}, InvalidInput, "it.db cannot be read: file is not a database"),
        ({"path": "it.xlsx"}, InvalidInput, "it.xlsx cannot be read"),
        ({"path": "it.parquet"}, InvalidInput, "it.parquet cannot be read"),
        ({"path": "it.json"}, InvalidInput, "it.json cannot be read"),
        (
            {"path": "it.csv", "table": "t"},
            InvalidConfig,
            "data.sources.s.table: has no effect with a path of form csv",
        ),
        ({"path": "it.xlsx", "query": "FROM t"}, InvalidConfig, "data.sources.s.query: has no effect"),
        ({"path": "it.xlsx", "options": {"header": False}}, InvalidConfig, "s.options.header: has no effect"),
        ({"path": "it.csv", "options": {"fs_anon": True}}, InvalidConfig, "s.options.fs_anon: has no effect"),
    ],
)
def test_what_is_wrong_with_a_source_is_said(
    source: dict[str, Any], kind: type[StaytrueError], said: str, section: Make, tmp_path: Path
) -> None:
    for suffix in ("csv", "db", "xlsx", "parquet", "json"):
        (tmp_path / f"it.{suffix}").write_text("at,x,y\n2024-01-01,1,2\n" * 40)
    (tmp_path / "none.tsv").touch()
    placed = source | ({"path": tmp_path / source["path"]} if "path" in source else {})
    with pytest.raises(kind) as caught:
        collect(section(sources={"s": placed}))
    assert said in str(caught.value)


def test_several_workbooks_are_not_taken_for_one(section: Make, tmp_path: Path) -> None:
    for name in ("a", "b"):
        openpyxl.Workbook().save(tmp_path / f"{name}.xlsx")
    with pytest.raises(InvalidConfig, match=r"data\.sources\.s: expected one file, got 2; make each a source"):
        collect(section(sources={"s": tmp_path / "*.xlsx"}))


def test_files_of_several_types_are_read_as_what_fits_all(section: Make, tmp_path: Path) -> None:
    """Whole numbers in one file, others in the next; a column that one lacks is missing there, if a setting says so."""
    (tmp_path / "a.csv").write_text("at,x,y\n2024-01-01,1,1\n")
    (tmp_path / "b.csv").write_text("y,x,at,z\n2,1.5,2024-01-02 06:00:00,7\n")
    features = {"x": {"kind": "numeric"}, "z": {"kind": "numeric"}}
    source = {"path": tmp_path / "?.csv", "options": {"union_by_name": True}}
    data = section(sources={"s": source}, query="FROM s", time="at", target="y", features=features)
    rows, fingerprint = collect(data)
    assert fingerprint.columns == {"at": "TIMESTAMP", "x": "DOUBLE", "y": "DOUBLE", "z": "DOUBLE"}
    assert rows.columns["x"].tolist() == [1.0, 1.5]
    assert [str(value) for value in rows.columns["z"]] == ["nan", "7.0"]


def test_columns_are_declared_where_a_file_leaves_doubt(section: Make, tmp_path: Path) -> None:
    """Day first, month second: only the writer knows."""
    (tmp_path / "days.csv").write_text("at,x,y\n01.02.2024,1,10\n03.02.2024,2,20\n")
    source = {
        "path": tmp_path / "days.csv",
        "columns": {"at": "DATE", "x": "DOUBLE"},
        "options": {"dateformat": "%d.%m.%Y"},
    }
    features = {"x": {"kind": "numeric"}}
    data = section(sources={"d": source}, query="SELECT * FROM source", time="at", target="y", features=features)
    rows, fingerprint = collect(data)
    assert pd.to_datetime(rows.time, unit="s").strftime("%Y-%m-%d").tolist() == ["2024-02-01", "2024-02-03"]
    assert fingerprint.columns == {"at": "DATE", "x": "DOUBLE", "y": "DOUBLE"}


def test_only_columns_that_are_asked_for_are_read(section: Make, tmp_path: Path) -> None:
    """A column that could not be read in full does no harm to a Parquet file's others."""
    with duckdb.connect() as connection:
        path = tmp_path / "d.parquet"
        connection.execute(f"COPY (SELECT DATE '2024-01-01' AS at, 1 AS x, 2 AS y, repeat('z', 50) AS z) TO '{path}'")
    data = section(sources={"d": path}, query="FROM d", time="at", target="y", features={"x": {"kind": "numeric"}})
    found = collected(data)
    assert list(found.rows.columns) == ["x"]
    assert list(found.fingerprint.columns) == ["at", "x", "y", "z"]


@pytest.mark.parametrize("place", ["", "/none.csv", "/none.xyz"])
def test_no_message_shows_the_query_of_an_address(place: str, section: Make) -> None:
    """Neither of one that does not answer nor of one whose form is unknown."""
    for scheme in ("memory://none", "http://127.0.0.1:1"):
        with pytest.raises(StaytrueError) as caught:
            collect(section(sources={"bikes": f"{scheme}{place}?token=geheim&x=a b geheim"}))
        assert "geheim" not in str(caught.value)
        assert scheme in str(caught.value)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_files_that_lack_columns_are_told_with_the_columns(form: str, section: Make, tmp_path: Path) -> None:
    """Upper and lower case are alike, and so is another order."""
    for name, columns in (("a", '"at", 1 AS x, 2 AS y'), ("b", '2 AS y, "at", 1 AS X'), ("c", '"at", 1 AS x, 3 AS z')):
        made = f"SELECT {columns} FROM (SELECT DATE '2024-01-01' AS \"at\")"  # noqa: S608
        duckdb.sql(f"COPY ({made}) TO '{tmp_path / name}.{form}' (FORMAT {form})")
    shape = {"query": "FROM s", "time": "at", "target": "x", "features": {"y": {"kind": "numeric"}}}
    source: dict[str, Any] = {"path": tmp_path / f"?.{form}"}
    with pytest.raises(InvalidInput) as caught:
        collect(section(sources={"s": source}, **shape))
    said = (
        f'data.sources.s: a.{form} lacks "z"; b.{form} lacks "z"; c.{form} lacks "y", expected the same columns in all'
    )
    assert str(caught.value).startswith(said)
    assert "say options: {union_by_name: true}" in str(caught.value)
    source["options"] = {"union_by_name": True}
    found = collected(section(sources={"s": source}, **shape))
    assert [str(value) for value in found.rows.columns["y"]] == ["2.0", "2.0", "nan"]
    assert f'c.{form} lacks "y": missing in their rows' in found.report.notes[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "got an empty file, b.csv; write one, or leave the file out"),
        (b"\n \n", "got an empty file, b.csv"),
        (b"PK\x03\x04\0\0\xff", r"expected a text of lines \(CSV\), got a binary file, b.csv; say format:"),
        ("at,x,y\n".encode("utf-16"), r"got a text of two bytes a letter, b.csv; say options: \{encoding: utf-16\}"),
    ],
    ids=["empty", "blank", "binary", "utf-16"],
)
def test_a_file_that_is_no_text_is_named(content: bytes, said: str, section: Make, tmp_path: Path) -> None:
    """Among those of a pattern, and alone."""
    (tmp_path / "a.csv").write_text("at,x,y\n2024-01-01,1,1\n")
    (tmp_path / "b.csv").write_bytes(content)
    with pytest.raises(InvalidInput, match=f"^data.sources.s: .*{said}"):
        collect(section(sources={"s": tmp_path / "?.csv"}))
    with pytest.raises(InvalidInput, match="^data.source: .*" + said.replace(", b.csv", ", .*b.csv")):
        collect(section(source=tmp_path / "b.csv", sources={}))
