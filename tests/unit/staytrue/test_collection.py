"""Sources and joins of a project file: what may be said, and what is refused with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from staytrue.addresses import masked_in
from staytrue.errors import InvalidConfig
from staytrue.project import load

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project

REST = """
  time: t
  target: y
  features:
    x: {kind: numeric}
"""


def project(data: str, folder: Path) -> Project:
    """A project whose data section begins as given."""
    path = folder / "staytrue.yaml"
    path.write_text(f"name: toy\ndata:\n{data.strip(chr(10))}{REST}", encoding="utf-8")
    return load(path)


def test_a_source_is_a_path_an_address_or_a_mapping(tmp_path: Path) -> None:
    text = "  sources:\n    a: days/*.csv\n    b: s3://bucket/x.parquet\n    c: {factory: 'ours.data:rows'}\n"
    data = project(f"{text}    d: {{path: m.xlsx, table: June}}\n  schema_file: s.yaml", tmp_path).data
    assert data.sources["a"].path == tmp_path / "days/*.csv"
    assert data.sources["b"].url == "s3://bucket/x.parquet"
    assert data.sources["c"].factory == "ours.data:rows"
    assert data.sources["d"].table == "June"
    assert (data.schema_file, data.quarantine) == (tmp_path / "s.yaml", tmp_path / "quarantine.csv")
    assert data.place == "a, b, c, d"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("  query: FROM source", "staytrue.yaml:2 data: source or sources says where the rows are"),
        ("  source: a.csv\n  sources: {b: b.csv}", "source or sources says where the rows are: one of them"),
        ("  source: a.csv\n  join: [{left: a, right: b, key: [k]}]", "join needs sources"),
        ("  sources:\n    a: {format: csv}", "staytrue.yaml:4 data.sources.a: one of path, url and factory"),
        ("  sources:\n    a: {path: a.csv, url: 's3://b'}", "one of path, url and factory"),
        ("  sources:\n    a: {path: a.db, table: t, query: FROM t}", "a table or a query, not both"),
        ("  sources:\n    a: 'postgresql://me:geheim@db/x'", "data.sources.a.url: an address with a password"),
        ("  sources:\n    a: 'postgresql://db/x?password=geheim'", "an address with a password: keep it in ~/.pgpass"),
        ("  sources:\n    a: {path: a.csv, format: docx}", "data.sources.a.format: expected one of 'csv'"),
        ("  sources:\n    a: {path: a.csv, tabel: x}", "unknown key; did you mean 'table'?"),
        ("  sources: {a: a.csv}\n  join: [{left: a, right: a}]", "how: left needs a key: [column]"),
        ("  sources: {a-b: a.csv}", 'a source cannot be called "a-b"'),
        ("  sources: {source: a.csv}\n  join: [{left: source, right: source, key: [k]}]", 'called "source"'),
        ("  source: a.csv\n  memory: lots", "data.memory"),
        ("  source: a.csv\n  max_bad_rows: 1", "data.max_bad_rows"),
    ],
)
def test_what_cannot_be_is_refused_and_no_password_is_shown(data: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as caught:
        project(data, tmp_path)
    assert said in str(caught.value)
    assert "geheim" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:ge/geheim@127.0.0.1/db",
        "postgresql://me:1/geheim@127.0.0.1/db",
        "postgresql://me:x?geheim@127.0.0.1/db",
        "postgresql://me:geheim@geheim@127.0.0.1/db",
        "postgres://127.0.0.1/db?sslpassword=geheim",
        "postgresql:///db?sslmode=require&Pass%77ord=geheim",
        "https://me:geheim@host/a.csv",
    ],
)
def test_a_password_is_refused_in_whichever_place_and_not_shown(address: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="an address with a password") as caught:
        project(f"  sources:\n    a: '{address}'", tmp_path)
    assert "geheim" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize(
    "address",
    [
        "https://host:8080/a@b.csv",
        "s3://bucket/a:b@c.csv",
        "postgresql://me@[::1]:5432/db?sslmode=require",
        "https://host/a.csv?token=x",
    ],
)
def test_what_only_looks_like_a_password_is_taken(address: str, tmp_path: Path) -> None:
    assert project(f"  sources:\n    a: '{address}'", tmp_path).data.sources["a"].url == address


def test_no_secret_is_saved_or_printed_but_all_are_used(tmp_path: Path) -> None:
    from training.checkpoint import save_configuration

    text = """
  sources:
    a:
      url: 'https://host/a.csv?token=geheim'
      options: {fs_secret: geheim-1, api_key: geheim-2, fs_proxy: 'http://me:geheim@proxy', fs_anon: false, delim: ';'}
"""
    made = project(text, tmp_path)
    source = made.data.sources["a"]
    assert source.url == "https://host/a.csv?token=geheim"
    assert source.options.get("fs_secret") == "geheim-1"
    save_configuration(made, tmp_path)
    written = (tmp_path / "project.yaml").read_text(encoding="utf-8")
    assert "geheim" not in written + repr(made) + str(made.data.identity())
    kept = load(tmp_path / "project.yaml").data.sources["a"]
    assert kept.url == "https://host/a.csv?***"
    assert (kept.options["fs_anon"], kept.options["delim"]) == (False, ";")
    for secret in ("token=geheim", "geheim-1", "geheim-2"):  # an option `key` may say which rows there are
        assert project(text.replace(secret, "x=1"), tmp_path).fingerprint() != made.fingerprint()


@pytest.mark.parametrize("query", ["sslkey=gehe%zzim", "gehe%zzim", "sslcert=geheim", "options=a&x=gehe%69m"])
def test_what_a_driver_says_of_a_part_of_a_query_is_masked(query: str) -> None:
    address = f"postgresql://me@db/x?user=me&{query}"
    for part in ("geheim", "gehe%69m", "gehe%zzim"):
        if part in query:
            told = masked_in(f'invalid token: "{part}" for user "me" of {address}', address)
            assert told == 'invalid token: "***" for user "me" of postgresql://me@db/x?***'


def test_a_secret_option_of_a_wrong_kind_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="options") as caught:
        project("  sources:\n    a: {path: a.csv, options: {token: [[geheim]], fs_key: {geheim: 1}}}", tmp_path)
    assert "geheim" not in str(caught.value)


def test_what_is_trained_depends_on_the_sources_not_on_where_they_lie(tmp_path: Path) -> None:
    """Nor on how much memory reading takes, nor on settings that stand at their defaults."""
    single = project("  source: a.csv", tmp_path).fingerprint()
    assert project("  source: b/a.csv\n  memory: 9GiB\n  quarantine: q.csv", tmp_path).fingerprint() == single
    assert project("  source: a.csv\n  max_bad_rows: 0.1", tmp_path).fingerprint() != single
    several = project("  sources: {a: a.csv}", tmp_path).fingerprint()
    assert project("  sources: {a: b/a.csv}", tmp_path).fingerprint() == several != single
    assert project("  sources: {a: b.csv}", tmp_path).fingerprint() != several


def test_a_schema_decides_what_is_trained_only_where_rows_may_be_set_aside(tmp_path: Path) -> None:
    """Else it lets all rows pass or none; and then it counts by its name, as sources do."""
    plain = project("  source: a.csv", tmp_path).fingerprint()
    assert project("  source: a.csv\n  schema_file: s.yaml", tmp_path).fingerprint() == plain
    some = "  source: a.csv\n  max_bad_rows: 0.1"
    loose = project(some, tmp_path).fingerprint()
    strict = project(f"{some}\n  schema_file: s.yaml", tmp_path).fingerprint()
    assert strict != loose
    assert project(f"{some}\n  schema_file: b/s.yaml", tmp_path).fingerprint() == strict
    assert project(f"{some}\n  schema_file: t.yaml", tmp_path).fingerprint() not in {strict, loose}


def test_a_run_keeps_its_sources(tmp_path: Path) -> None:
    """The file that goes with a run says the same as the project's."""
    made = project("  sources: {a: a.csv, b: 'memory://b.csv'}\n  join: [{left: a, right: b, key: [k]}]", tmp_path)
    from training.checkpoint import save_configuration

    (tmp_path / "run").mkdir()
    save_configuration(made, tmp_path / "run")
    written = next((tmp_path / "run").glob("*.yaml"))
    assert load(written).data == made.data
