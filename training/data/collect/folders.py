"""Folders: pictures and texts that lie as files, one a row, their class the folder they are in."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from staytrue.addresses import shown
from staytrue.errors import InvalidConfig, NotFound
from training.data.chapters import many
from training.data.collect.batches import create
from training.data.collect.decoder import Decoder
from training.data.collect.places import files_of
from training.data.collect.quarantine import BadRow
from training.data.collect.reading import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from staytrue.collection import SourceSection
    from training.data.collect.reading import Reading

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_BATCH = 256
_NAMED = 3
"""Files that a note names."""
_COLUMNS = ("path", "class", "modified")
_TYPES = (pa.string(), pa.string(), pa.timestamp("us"))

Decode = Callable[[Path], Any]


def read_images(name: str, source: SourceSection, reading: Reading) -> str:
    """Make a table of a folder's pictures: path, class, modified, image (0 to 255, ordered as the feature says)."""
    decode = Decoder(name, reading.picture)
    place = _read(name, source, reading, PICTURES, ("image", pa.list_(pa.uint8()), decode))
    reading.notes.extend(decode.notes())
    return place


def read_texts(name: str, source: SourceSection, reading: Reading) -> str:
    """Make a table of a folder's texts: path, class, modified, text. The option ``encoding`` is UTF-8 by default."""
    encoding = str(source.options.get("encoding", "utf-8"))
    return _read(name, source, reading, (), ("text", pa.string(), lambda path: path.read_text(encoding=encoding)))


def _read(
    name: str,
    source: SourceSection,
    reading: Reading,
    suffixes: tuple[str, ...],
    content: tuple[str, Any, Decode],
) -> str:
    roots = files_of(name, source, reading.scratch)
    found = [(root, path) for root in roots for path in _inside(root)]
    files = [pair for pair in found if _belongs(*pair, suffixes)]
    if not files:
        wanted = f" that end in {', '.join(suffixes)}" if suffixes else ""
        raise NotFound(f"data.sources.{name}", f"no files{wanted} in {shown(roots[0])}{_named('; there are', found)}")
    left = [pair for pair in found if not _belongs(*pair, suffixes)]
    if left:
        why = f"are hidden or do not end in {', '.join(suffixes)}" if suffixes else "are hidden"
        reading.notes.append(f"{len(left):,} files of {name} {why}, and were left out{_named(':', left)}")
    column, kind, decode = content
    rows = ((*_placed(root, path), path) for root, path in files)
    beside = [(root, path) for root, path in files if path.parent == root]
    if beside and len(beside) < len(files):
        reading.notes.append(
            f"{len(beside):,} files of {name} lie beside its folders, and have no class{_named(':', beside)}"
        )
    bad: list[BadRow] = []
    decoded = _decoded(name, column, rows, decode, bad)
    create(reading.connection, name, [*_COLUMNS, column], [*_TYPES, kind], decoded, _BATCH)
    reading.quarantine.add(bad, "picture" if suffixes else "encoding")
    return f"{many(len(files), 'file')} in {roots[0].name}"


def _inside(root: Path) -> list[Path]:
    return [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())


def _belongs(root: Path, path: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether a file is a row: hidden files and folders are what systems and editors leave behind."""
    hidden = path != root and any(part.startswith(".") for part in path.relative_to(root).parts)
    return not hidden and (not suffixes or path.suffix.lower() in suffixes)


def _named(before: str, files: Sequence[tuple[Path, Path]]) -> str:
    """The first of some files, for people.

    >>> _named(":", [(Path("a"), Path("a/b/c.txt")), (Path("a"), Path("a/d.txt"))]), _named(":", [])
    (': b/c.txt, d.txt', '')
    """
    shown = [path.relative_to(root).as_posix() if path != root else path.name for root, path in files[:_NAMED]]
    more = [f"{len(files) - _NAMED:,} more"] if len(files) > _NAMED else []
    return f"{before} {', '.join([*shown, *more])}" if files else ""


def _placed(root: Path, path: Path) -> tuple[str, str, datetime.datetime]:
    """Path and class as the folder says, and when the file was written (UTC)."""
    below = path.relative_to(root) if path != root else Path(path.parent.name, path.name)
    written = datetime.datetime.fromtimestamp(path.stat().st_mtime, tz=datetime.UTC).replace(tzinfo=None)
    return below.as_posix(), below.parent.as_posix() if below.parent.parts else "", written


def _decoded(
    name: str, column: str, rows: Iterable[tuple[Any, ...]], decode: Decode, bad: list[BadRow]
) -> Iterator[tuple[Any, ...]]:
    """Rows with the content of their file in place of its path; those without any are set aside."""
    for *others, path in rows:
        content, reason = _content(path, decode)
        if reason:
            bad.append(
                BadRow(source=name, file=str(others[0]), line=None, column=column, reason=reason, text=path.name)
            )
        else:
            yield (*others, content)


def _content(path: Path, decode: Decode) -> tuple[Any, str]:
    try:
        return decode(path), ""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return None, f"cannot be read: {error}".replace(str(path), path.name)


def read_pictures(name: str, source: SourceSection, reading: Reading) -> None:
    """Add to a table the pictures that one of its columns names, as a column ``image``.

    Paths are relative to the folder of the table's file. Rows whose picture cannot be read are set aside.

    Raises:
        InvalidConfig: no such column.
    """
    connection, column = reading.connection, source.pictures
    names = reading.columns(name)
    if column not in names or "image" in names:
        problem = f'no column "{column}"' if column not in names else 'there is a column "image" already'
        raise InvalidConfig(f"data.sources.{name}.pictures", problem, hint=f"there are {', '.join(names)}")
    base = source.path.parent if source.path else Path()
    decode, bad = Decoder(name, reading.picture), []  # type: tuple[Decoder, list[BadRow]]
    with connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'; SET threads = 1")
        batches = cursor.sql(f"SELECT * FROM {quoted(name)}").to_arrow_reader(_BATCH)  # noqa: S608 - quoted
        schema = batches.schema.append(pa.field("image", pa.list_(pa.uint8())))

        def widened() -> Iterator[Any]:
            line = 0
            for batch in batches:
                found = [_content(base / str(path), decode) for path in batch.column(column).to_pylist()]
                for place, (_, reason) in enumerate(found, line + 1):
                    if reason:
                        path = str(batch.column(column)[place - line - 1])
                        bad.append(BadRow(source=name, file=name, line=place, column=column, reason=reason, text=path))
                line += len(batch)
                images = pa.array([content for content, _ in found], type=pa.list_(pa.uint8()))
                keep = pa.array([not reason for _, reason in found])
                yield pa.record_batch([*batch.columns, images], schema=schema).filter(keep)

        connection.from_arrow(pa.RecordBatchReader.from_batches(schema, widened())).create("__pictured")
    connection.execute(f"DROP TABLE {quoted(name)}; ALTER TABLE __pictured RENAME TO {quoted(name)}")
    reading.quarantine.add(bad, "picture")
    reading.notes.extend(decode.notes())
