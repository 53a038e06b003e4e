"""Places: the local files that a source names: a file, a pattern, a folder, or what an address holds."""

from __future__ import annotations

import glob
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec

from staytrue.addresses import masked, masked_in, shown
from staytrue.errors import InvalidConfig, InvalidInput, NotFound, Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staytrue.collection import SourceSection

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
}
_PACKED = (".gz", ".zst")


def format_of(name: str, source: SourceSection) -> str:
    """What a source is: as it says, or by its suffix.

    Raises:
        Unsupported: neither tells.
    """
    if source.format:
        return source.format
    place = source.url or str(source.path)
    if place.startswith(("postgresql://", "postgres://")):
        return "postgresql"
    plain = place.split("?")[0] if source.url else place
    suffix = Path(plain.removesuffix(_PACKED[0]).removesuffix(_PACKED[1])).suffix.lower()
    if suffix not in _SUFFIXES:
        expected = f"a suffix of {', '.join(_SUFFIXES)}"
        raise Unsupported(
            f"data.sources.{name}",
            expected=expected,
            got=suffix or "none",
            hint=f"say format: for {masked(place if source.url else shown(Path(place)))}",
        )
    return _SUFFIXES[suffix]


def files_of(name: str, source: SourceSection, scratch: Path) -> list[Path]:
    """The files, sorted; those of an address are copied into the scratch folder first.

    Raises:
        NotFound: there is none.
        Unsupported: the address needs a package that is not installed.
        InvalidInput: the address does not answer.
    """
    if source.url is not None:
        return _copied(name, source, scratch)
    path = source.path
    assert path is not None  # noqa: S101 - the section has one of both
    files = [path] if path.exists() else [Path(found) for found in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - absolute patterns
    if not files:
        where = f"data.sources.{name}"
        raise NotFound(where, f"no file {masked(shown(path))}", hint="paths are relative to staytrue.yaml")
    return files


def file_of(name: str, source: SourceSection, scratch: Path) -> Path:
    """The one file of a form that is not read in parts.

    Raises:
        InvalidConfig: there are several.
    """
    files = files_of(name, source, scratch)
    if len(files) > 1:
        hint = "make each a source, and append them by data.join"
        raise InvalidConfig(f"data.sources.{name}", expected="one file", got=f"{len(files)}", hint=hint)
    return files[0]


def labels(files: Sequence[Path]) -> list[str]:
    """How files are called: by their names, and with as many folders as tell them apart.

    >>> labels([Path("a/x.csv"), Path("b/x.csv")]), labels([Path("a/x.csv"), Path("a/y.csv")])
    (['a/x.csv', 'b/x.csv'], ['x.csv', 'y.csv'])
    """
    called = [path.name for path in files]
    for deep in range(2, max(len(path.parts) for path in files) + 1):
        if len(set(called)) == len(files):
            break
        called = ["/".join(path.parts[-deep:]) for path in files]
    return called


def _copied(name: str, source: SourceSection, scratch: Path) -> list[Path]:
    url, where = str(source.url), f"data.sources.{name}"
    target = scratch / f"copies-{len(list(scratch.glob('copies-*')))}"
    target.mkdir()
    try:
        opened = fsspec.open_files(url, mode="rb", **_arguments(source))
        if not opened:
            raise NotFound(where, f"no file {masked(url)}")
        return [_copy(remote, target, place) for place, remote in enumerate(opened)]
    except ImportError as error:
        scheme = url.split("://", maxsplit=1)[0]
        raise Unsupported(where, f"{scheme}:// cannot be opened: {error}", hint=_package(scheme)) from error
    except FileNotFoundError as error:
        raise NotFound(where, f"no file {masked(url)}") from error
    except (OSError, ValueError) as error:
        raise InvalidInput(where, f"{masked(url)} cannot be read: {masked_in(error, url)}"[:300]) from error


def _copy(remote: Any, target: Path, place: int) -> Path:
    """One file under its own name, in a folder of its own: names of several folders may be alike."""
    folder = target / f"{place:06d}"
    folder.mkdir()
    copied = folder / Path(remote.path.split("?")[0]).name
    with remote as stream, copied.open("wb") as written:
        shutil.copyfileobj(stream, written, 1 << 20)
    return copied


def _package(scheme: str) -> str:
    package = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp", "abfs": "adlfs"}
    return f"pip install {package.get(scheme, 'the driver of fsspec for ' + scheme)}"


def _arguments(source: SourceSection) -> dict[str, Any]:
    """Options for fsspec: those that begin with ``fs_``."""
    return {key.removeprefix("fs_"): value for key, value in source.options.items() if key.startswith("fs_")}


def reader_options(source: SourceSection) -> dict[str, Any]:
    """Options for the reader: the others."""
    return {key: value for key, value in source.options.items() if not key.startswith("fs_")}


def names(files: Sequence[Path]) -> str:
    """Some files for people.

    >>> names([Path("a/x.csv"), Path("a/y.csv"), Path("z.csv")])
    'x.csv and 2 more'
    """
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0].name}{more}" if files else "none"
