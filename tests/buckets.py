"""Object stores for tests, in memory: one by the name of ``s3`` that makes an object once if asked to, and others."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, ClassVar

from fsspec.implementations.memory import MemoryFileSystem

_LOCK = threading.RLock()


class Memory(MemoryFileSystem):  # type: ignore[misc]
    """``memory://`` for several threads, which there share one place in a file that they read at the same time."""

    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    cachable = False

    def cat_file(self, path: str, *_: object, **__: object) -> bytes:
        """Read an object."""
        with _LOCK:
            if (found := self.store.get(self._strip_protocol(path))) is None:
                raise FileNotFoundError(path)
            return bytes(found.getvalue())

    def get_file(self, rpath: str, lpath: str, *_: object, **__: object) -> None:
        """Read an object into a file."""
        Path(lpath).write_bytes(self.cat_file(rpath))

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: object) -> None:
        """Write an object."""
        with _LOCK:
            super().pipe_file(path, value, mode=mode)

    def ls(self, path: str, **how: Any) -> Any:
        """Name objects."""
        with _LOCK:
            return super().ls(path, **how)


class Bucket(Memory):
    """Heeds ``mode="create"`` whoever asks at the same time, as S3 does with ``If-None-Match``."""

    protocol = "s3"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    root_marker = ""

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("s3://").strip("/")


class Heedless(Bucket):
    """Writes over what is there although it was asked not to, as gateways did before they knew of conditions."""

    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: object) -> None:
        """Write an object."""
        del mode
        super().pipe_file(path, value)
